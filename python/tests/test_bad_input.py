# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Whatever is wrong is an exception of the tree that says what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import swift_moe
import torch

X, IDS, WEIGHTS = np.zeros((4, 64), np.float32), np.zeros((4, 2), np.int32), np.ones((4, 2), np.float32)


@pytest.fixture
def experts(mixtral: Path) -> swift_moe.Experts:
    return swift_moe.Experts.load(swift_moe.Checkpoint(mixtral), 0)


def test_the_tree_is_small() -> None:
    kinds = [swift_moe.InvalidArgument, swift_moe.InvalidHandle, swift_moe.CheckpointError]
    kinds += [swift_moe.Unsupported, swift_moe.OutOfMemory, swift_moe.DeviceError]
    assert all(issubclass(kind, swift_moe.MoEError) for kind in kinds)
    assert issubclass(swift_moe.InvalidArgument, ValueError)
    assert issubclass(swift_moe.Unsupported, NotImplementedError)
    assert issubclass(swift_moe.OutOfMemory, MemoryError)
    assert issubclass(swift_moe.DeviceError, RuntimeError)


def test_paths_that_are_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    (tmp_path / "config.json").write_text("{}")
    for path in (tmp_path, tmp_path / "nowhere", "/dev/null"):
        with pytest.raises(swift_moe.CheckpointError) as raised:
            swift_moe.Checkpoint(path)
        assert raised.value.faults
        assert not swift_moe.check(path).whole


BATCHES: dict[str, tuple[Any, Any, Any, str]] = {
    "dtype of x": (X.astype(np.int64), IDS, WEIGHTS, "hidden.*F32, BF16, F16.*I64"),
    "float64": (X.astype(np.float64), IDS, WEIGHTS, "hidden.*F64"),
    "complex": (X.astype(np.complex64), IDS, WEIGHTS, "another type.*complex64"),
    "byte order": (X.astype(">f4"), IDS, WEIGHTS, "byte order"),
    "width of x": (X[:, :63], IDS, WEIGHTS, r"hidden.*\[any, 64\].*\[4, 63\]"),
    "tokens of ids": (X, IDS[:3], WEIGHTS, r"topk_ids.*\[3, 2\]"),
    "slots of weights": (X, IDS, WEIGHTS[:, :1], r"topk_weights.*\[4, 1\]"),
    "dtype of ids": (X, IDS.astype(np.int16), WEIGHTS, "topk_ids.*I32, I64.*I16"),
    "id too large": (X, IDS + 8, WEIGHTS, "id 8"),
    "id too small": (X, IDS - 2, WEIGHTS, "id -2"),
    "id beyond 32 bits": (X, IDS.astype(np.int64) + (1 << 33), WEIGHTS, "32 bits"),
    "weight that is none": (X, IDS, WEIGHTS * np.nan, "finite weight"),
    "negative stride": (X[::-1], IDS, WEIGHTS, "strides"),
    "scalar": (np.array(1, np.float32), IDS, WEIGHTS, "scalar"),
    "no array": ([[0.0] * 64] * 4, IDS, WEIGHTS, "list"),
    "another device": (torch.zeros(4, 64, device="meta"), IDS, WEIGHTS, "expected cpu, found meta"),
    "sparse": (torch.zeros(4, 64).to_sparse(), IDS, WEIGHTS, "strided"),
}


@pytest.mark.parametrize("case", BATCHES)
def test_batches_that_do_not_fit(experts: swift_moe.Experts, case: str) -> None:
    x, ids, weights, text = BATCHES[case]
    with pytest.raises(swift_moe.InvalidArgument, match=text):
        experts(x, ids, weights)


def test_outputs_that_can_not_be_written(experts: swift_moe.Experts) -> None:
    for out, text in ((X[:3], "output"), (np.zeros((4, 32, 2)).swapaxes(1, 2), "copy"), (np.broadcast_to(X[:1], X.shape), "overlap")):
        with pytest.raises(swift_moe.InvalidArgument, match=text):
            experts(X, IDS, WEIGHTS, out=out)


def test_misaligned_memory_is_fine(experts: swift_moe.Experts) -> None:
    memory = np.zeros(4 * 64 * 4 + 1, np.uint8)
    view = memory[1:].view(np.float32).reshape(4, 64)
    view[:] = np.random.default_rng(0).random((4, 64), np.float32)
    assert np.array_equal(experts(view, IDS, WEIGHTS), experts(view.copy(), IDS, WEIGHTS))


def test_closed_handles(mixtral: Path, experts: swift_moe.Experts) -> None:
    experts.close()
    experts.close()
    with pytest.raises(swift_moe.InvalidHandle, match="freed"):
        experts(X, IDS, WEIGHTS)
    checkpoint = swift_moe.Checkpoint(mixtral)
    checkpoint.close()
    with pytest.raises(swift_moe.InvalidHandle):
        swift_moe.Experts.load(checkpoint, 0)


def test_options(mixtral: Path) -> None:
    checkpoint = swift_moe.Checkpoint(mixtral)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"weights": "float7"}, "float7"),
        ({"threads": -1}, "threads"),
        ({"rank": 5}, "rank"),
        ({"activations": "int3"}, "int3"),
    ]
    for options, text in wrong:
        with pytest.raises(swift_moe.InvalidArgument, match=text):
            swift_moe.Experts.load(checkpoint, 0, **options)
    with pytest.raises(swift_moe.InvalidArgument, match="layer 9"):
        swift_moe.Experts.load(checkpoint, 9)
    with pytest.raises(swift_moe.Unsupported, match="backend"):
        swift_moe.Experts.load(checkpoint, 0, backend="tpu")
    share = swift_moe.Experts.load(checkpoint, 0, expert_parallel=2)
    with pytest.raises(swift_moe.InvalidArgument, match="without its block"):
        share.block(X)


def test_gradients_are_refused(experts: swift_moe.Experts) -> None:
    x = torch.zeros(4, 64, requires_grad=True)
    with pytest.raises(swift_moe.Unsupported, match="no_grad"):
        experts(x, torch.zeros(4, 2, dtype=torch.int32), torch.ones(4, 2))
    with torch.no_grad():
        experts(x, torch.zeros(4, 2, dtype=torch.int32), torch.ones(4, 2))
