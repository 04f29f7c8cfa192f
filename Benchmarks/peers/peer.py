# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""What the drivers of peers share: the task from the environment, routings, the stopwatch, and the talk with compare.py."""

import json
import os
import subprocess
import sys
import time

import numpy as np

from batches import batches

HIDDEN, INTERMEDIATE, EXPERTS, TOP_K = (int(n) for n in os.environ["MOE_SHAPE"].split(","))
WEIGHTS = os.environ["MOE_CLASS"]
SECONDS = float(os.environ["MOE_SECONDS"])
THREADS = int(os.environ["MOE_THREADS"])

# Layers rotate, so that one token's experts come from memory: over as many bytes as ours do. (os.sysconf doesn't know the name.)
UNCACHED = max(1 << 28, 8 * int(subprocess.check_output(["getconf", "LEVEL3_CACHE_SIZE"]) or 0))


def layers(bits):
    """How many copies of the layer exceed the caches."""
    size = 3 * HIDDEN * INTERMEDIATE * EXPERTS * bits / 8
    return max(1, -(-UNCACHED // int(size)))


def read_tensor(name, dtype):
    """A tensor of the routing's file."""
    with open(os.environ["MOE_ROUTING"], "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start, end = header[name]["data_offsets"]
        file.seek(start, os.SEEK_CUR)
        return np.frombuffer(file.read(end - start), dtype).reshape(header[name]["shape"])


def routings(tokens):
    """The batches: ids and weights, both [tokens, top-k]."""
    ids, weights = read_tensor("topk_ids", np.int32), read_tensor("topk_weights", np.float32)
    starts = range(0, batches(tokens) * tokens, tokens)
    return [(ids[start : start + tokens], weights[start : start + tokens]) for start in starts]


def best(call, layers, batches):
    """Seconds of call(layer, batch), the mean over the batches of each one's fastest; layers and batches take turns."""
    times = [[] for _ in range(batches)]
    end = time.perf_counter() + SECONDS
    index = 0
    while index <= batches or time.perf_counter() < end:
        start = time.perf_counter()
        call(index % layers, index % batches)
        # The first call finds everything cold.
        if index > 0:
            times[index % batches].append(time.perf_counter() - start)
        index += 1
    return sum(map(min, times)) / batches


def answer(tasks):
    """Measures each number of tokens that stdin asks for; tasks(tokens) gives (name, seconds) of every contender here."""
    print("{}", flush=True)
    for line in sys.stdin:
        tokens = int(line)
        rows = [{"contender": name, "tokens": tokens, "seconds": seconds} for name, seconds in tasks(tokens)]
        print(json.dumps(rows), flush=True)
