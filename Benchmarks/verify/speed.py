#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""Times `moe verify` beside reading the same files, in turns, on two threads each.

    Benchmarks/verify/speed.py MOE CHECKPOINT ORIGINAL [ROUNDS]

Reading is pread(2) of all safetensors files of both folders from the page cache into one buffer of 4 MiB for each
thread. A time of `moe verify` is that of the whole command.
"""
import json
import os
import statistics
import subprocess
import sys
import threading
import time

BLOCK = 4 << 20
THREADS = 2


def files(folders):
    paths = [os.path.join(folder, name) for folder in folders for name in sorted(os.listdir(folder))]
    return [path for path in paths if path.endswith(".safetensors")]


def read(descriptors):
    """Seconds to read all files once."""
    blocks = iter([(fd, start) for fd in descriptors for start in range(0, os.fstat(fd).st_size, BLOCK)])
    lock = threading.Lock()

    def work(buffer):
        while True:
            with lock:
                block = next(blocks, None)
            if block is None:
                return
            os.preadv(block[0], [buffer], block[1])

    # Their pages are there before the clock starts.
    threads = [threading.Thread(target=work, args=(bytearray(os.urandom(BLOCK)),)) for _ in range(THREADS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def verify(moe, checkpoint, original):
    """Seconds of the command, and what it says of itself."""
    command = [moe, "verify", checkpoint, "--against", original, "--threads", str(THREADS), "--json"]
    start = time.perf_counter()
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - start, json.loads(result.stdout)


def main():
    moe, checkpoint, original = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 9
    descriptors = [os.open(path, os.O_RDONLY) for path in files([checkpoint, original])]
    size = sum(os.fstat(fd).st_size for fd in descriptors)
    read(descriptors)
    reading, verifying = [], []
    for _ in range(rounds):
        reading.append(read(descriptors))
        seconds, report = verify(moe, checkpoint, original)
        verifying.append(seconds)
    assert report["faithful"]
    print(f"{size / 1e9:.2f} GB, {report['weights'] / 1e9:.2f} G weights, {rounds} rounds")
    for name, function in (("least", min), ("median", statistics.median)):
        a, b = function(reading), function(verifying)
        print(f"{name}: read {a:.3f} s, verify {b:.3f} s, {a / b:.2f} of the speed of read")


main()
