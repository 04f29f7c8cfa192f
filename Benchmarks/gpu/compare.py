# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""Times whole layers by `moe bench --backend cuda` and prints them as Markdown beside other engines' times. See README.md."""
import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass

from bench import HERE, NAMES, Kernels, ceilings, floors, kernel_list, measured
from compiler import compile_all
from forms import FORMS
from layer import SHAPES

TOKENS = (1, 8, 64, 512, 4096, 16384)


@dataclass
class Table:
    title: str
    name: str  # in forms.py
    dtype: str
    peer: str  # what the table of other engines calls it
    wanted: tuple  # how much faster than the fastest engine to be: of one token, from 4096 on


TABLES = (
    Table("bf16", "bf16", "bf16", "bf16", (1.3, 1.1)),
    Table("fp8 blocks, fp8 activations", "fp8", "fp8-block", "fp8blk", (1.3, 1.25)),
    Table("mxfp4", "mxfp4", "mxfp4", "mxfp4", (1.8, 1.2)),
    Table("int4, groups of 128 (gptoss-120b: 32)", "int4", "int4-g128", "int4", (1.8, 1.2)),
    Table("mxfp4, fp8 activations", "mxfp4-fp8", "mxfp4", "mxfp4a8", (1.8, 1.1)),
    Table("fp8 rows, fp8 activations", "fp8-row", "fp8-channel", "fp8chan", (1.3, 1.25)),
)


class Peers:
    """The fastest engine of each shape, batch and type, of lines of shape, T, dtype, name, milliseconds."""

    def __init__(self, path, read):
        self.times, self.read = {}, read
        for line in open(path) if path else ():
            f = line.split()
            # deepgemm_masked has the two products only.
            if len(f) > 5 and f[0] in NAMES.values() and f[1].isdigit() and f[3] != "deepgemm_masked":
                key = (f[0], int(f[1]), f[2])
                self.times[key] = min(self.times.get(key, 1e9), float(f[4]) * 1e-3)

    def there_and_here(self, key, size, read, isBytes):
        """Seconds on the card of the table, and at least here: where bytes are the limit they are read at this card's rate."""
        there = self.times.get(key)
        return there and (there, there + (size * max(0, 1 / read - 1 / self.read) if isBytes else 0))


def bench(moe, shape, table, seconds):
    H, I, _, _ = sizes = SHAPES[shape]
    dtype = table.dtype if H % 128 == I % 128 == 0 else table.dtype.replace("-g128", "-g32")
    command = [moe, "bench", "--backend", "cuda", "--shape", ",".join(map(str, sizes)), "--dtype", dtype,
               "--activations", "fp8" if FORMS[table.name].token_bytes == 1 else "bf16", "--tokens", ",".join(map(str, TOKENS)),
               "--seconds", str(seconds), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)["results"]


def microseconds(t):
    return f"{t * 1e6:.1f}" if t < 1e-4 else f"{t * 1e6:.0f}"


def cell(table, name, result, rates, peers):
    """The text, and whether the goal is reached where an engine sets one."""
    T, t, size = result["tokens"], result["median_seconds"], result["bytes"]
    times = floors(table.name, size, result["operations"], rates)
    limit = max(times)
    text = f"{microseconds(t)} ({limit / t * 100:.0f} %)"
    peer = peers.there_and_here((name, T, table.peer), size, rates[0], times[0] > times[1])
    if not peer:
        return text, None
    there, here = peer
    wanted = table.wanted[0] if T == 1 else table.wanted[1] if T >= 4096 else 1.05
    goal = max(here / wanted, limit) if here > limit else here / 0.97
    text += f"; {microseconds(there)}" + (f" → {microseconds(here)}" if here > there else "") + f": {here / t:.2f}"
    return text + ("" if t <= goal else " ✗"), t <= goal


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moe", default="moe", help="the command")
    parser.add_argument("--peers", help="a table of other engines: shape, T, dtype, name, milliseconds")
    parser.add_argument("--peers-read", type=float, default=4.26, help="TB/s that the card of that table reads")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each batch")
    parser.add_argument("--dtypes", nargs="+", choices=sorted({t.peer for t in TABLES}), help="as the table of engines calls them")
    parser.add_argument("--shapes", nargs="+", choices=NAMES, default=list(NAMES))
    arguments = parser.parse_args()
    listed = kernel_list([])
    kernels = Kernels(listed, compile_all({n: k[0] for n, k in listed.items()}, os.path.join(HERE, ".cubins")))
    rates = measured("ceilings", 60, ceilings, kernels)
    if not rates:
        sys.exit(1)
    print(f"read {rates[0] / 1e12:.2f} TB/s, dense bf16 {rates[1] / 1e12:.0f} and fp8 {rates[2] / 1e12:.0f} TFLOP/s")
    peers, goals = Peers(arguments.peers, arguments.peers_read * 1e12), []
    for table in TABLES:
        if arguments.dtypes and table.peer not in arguments.dtypes:
            continue
        print(f"\n| {table.title} | " + " | ".join(f"T = {T}" for T in TOKENS) + " |\n" + "|---" * (len(TOKENS) + 1) + "|")
        for shape in arguments.shapes:
            cells = [cell(table, NAMES[shape], r, rates, peers) for r in bench(arguments.moe, shape, table, arguments.seconds)]
            goals += [reached for _, reached in cells if reached is not None]
            print(f"| {NAMES[shape]} | " + " | ".join(text for text, _ in cells) + " |", flush=True)
    print(f"\n{sum(goals)} of {len(goals)} at the limit or the goal")


if __name__ == "__main__":
    main()
