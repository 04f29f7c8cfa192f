# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Forks, threads and the end of the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import swift_moe

X = np.random.default_rng(0).random((64, 64), np.float32)


def in_child(body: object) -> int:
    """The exit status of `body` in a forked child, which must not hang."""
    assert callable(body)
    child = os.fork()
    if child == 0:
        try:
            body()
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    timer = threading.Timer(60, os.kill, (child, 9))
    timer.start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    timer.cancel()
    return status


def test_a_forked_child_goes_on(mixtral: Path) -> None:
    experts = swift_moe.Experts.load(swift_moe.Checkpoint(mixtral), 0, threads=2)
    ids, weights = experts.route(X)
    expected = experts(X, ids, weights)
    job = experts.submit(X, ids, weights)

    def child() -> None:
        assert np.array_equal(experts(X, ids, weights), expected)
        assert np.array_equal(experts.submit(X, ids, weights).wait(), expected)
        again = swift_moe.Experts.load(swift_moe.Checkpoint(mixtral), 0, threads=2)
        assert np.array_equal(again(X, ids, weights), expected)
        with pytest.raises(swift_moe.InvalidHandle, match="forked"):
            job.wait()

    job.wait()
    lost = experts.submit(X, ids, weights)
    assert np.array_equal(lost.wait(), expected)
    job = experts.submit(X, ids, weights)
    while experts.loads().sum() < 4 * ids.size:
        pass
    assert in_child(child) == 0
    assert np.array_equal(job.wait(), expected)
    assert np.array_equal(experts(X, ids, weights), expected)


def test_many_threads(mixtral: Path) -> None:
    experts = swift_moe.Experts.load(swift_moe.Checkpoint(mixtral), 0)
    ids, weights = experts.route(X)
    expected = experts(X, ids, weights)
    wrong: list[object] = []

    def work() -> None:
        for _ in range(20):
            if not np.array_equal(experts(X, ids, weights), expected):
                wrong.append("another result")
            try:
                experts(X, ids + 100, weights)
                wrong.append("no error")
            except swift_moe.InvalidArgument as error:
                if "out of range" not in str(error):
                    wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "os._exit(0)", "experts.close(); checkpoint.close()", "del swift_moe"])
def test_the_interpreter_ends_clean(mixtral: Path, end: str) -> None:
    """With handles open, a job under way, and modules in the order in which the interpreter clears them."""
    program = f"""
import os, sys
import numpy as np
import swift_moe
checkpoint = swift_moe.Checkpoint({str(mixtral)!r})
experts = swift_moe.Experts.load(checkpoint, 0)
x = np.ones((64, 64), np.float32)
job = experts.submit(x, *experts.route(x))
{end}
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
