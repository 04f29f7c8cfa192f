# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""What the drivers of peers share: the task from the environment, routings, and the stopwatch."""

import json
import os
import random
import time

HIDDEN, INTERMEDIATE, EXPERTS, TOP_K = (int(n) for n in os.environ["MOE_SHAPE"].split(","))
WEIGHTS = os.environ["MOE_CLASS"]
TOKENS = [int(n) for n in os.environ["MOE_TOKENS"].split(",")]
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


def measure(tokens, call, count):
    """Prints the best time of call(layer, routing) over layers 0 ..< count and all routings in turn."""
    chosen = len(routings(tokens))
    times = []
    end = time.perf_counter() + SECONDS
    while len(times) < 6 or time.perf_counter() < end:
        layer, routing = len(times) % count, len(times) % chosen
        start = time.perf_counter()
        call(layer, routing)
        times.append(time.perf_counter() - start)
    print(json.dumps({"tokens": tokens, "seconds": min(times[1:])}), flush=True)
