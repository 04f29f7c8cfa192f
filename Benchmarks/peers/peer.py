# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""What the drivers of peers share: the task from the environment, routings, the stopwatch, and the talk with compare.py."""

import json
import os
import random
import sys
import time

HIDDEN, INTERMEDIATE, EXPERTS, TOP_K = (int(n) for n in os.environ["MOE_SHAPE"].split(","))
WEIGHTS = os.environ["MOE_CLASS"]
SECONDS = float(os.environ["MOE_SECONDS"])
THREADS = int(os.environ["MOE_THREADS"])

# Layers rotate, so that one token's experts come from memory.
UNCACHED = max(1 << 28, 8 * os.sysconf("SC_LEVEL3_CACHE_SIZE") if "SC_LEVEL3_CACHE_SIZE" in os.sysconf_names else 0)


def layers(bits):
    """How many copies of the layer exceed the caches."""
    size = 3 * HIDDEN * INTERMEDIATE * EXPERTS * bits / 8
    return max(1, -(-UNCACHED // int(size)))


def routings(tokens):
    """Uniform choices of experts: lists [tokens][top_k]."""
    generator = random.Random(tokens)
    return [[generator.sample(range(EXPERTS), TOP_K) for _ in range(tokens)] for _ in range(32 if tokens < 64 else 4)]


def best(call, layers, routings):
    """Seconds of the fastest call(layer, routing) over layers 0 ..< layers and routings 0 ..< routings in turn."""
    times = []
    end = time.perf_counter() + SECONDS
    while len(times) < 6 or time.perf_counter() < end:
        start = time.perf_counter()
        call(len(times) % layers, len(times) % routings)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def answer(tasks):
    """Measures each number of tokens that stdin asks for; tasks(tokens) gives (name, seconds) of every contender here."""
    print("{}", flush=True)
    for line in sys.stdin:
        tokens = int(line)
        rows = [{"contender": name, "tokens": tokens, "seconds": seconds} for name, seconds in tasks(tokens)]
        print(json.dumps(rows), flush=True)
