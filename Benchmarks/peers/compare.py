# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""The routed experts of one layer in swift-moe and in public packages, in turns in one run.

Every contender is a process that prints one JSON object per line, {"tokens": T, "seconds": best}, for each number of
tokens in the environment variable MOE_TOKENS. It also finds there

    MOE_SHAPE     hidden,intermediate,experts,top-k
    MOE_CLASS     bf16, fp8, int8, int4, mxfp4, …: the weights
    MOE_SECONDS   how long to measure each number of tokens
    MOE_THREADS   how many threads

--peer NAME=COMMAND adds one; a contender that has nothing for a class prints nothing.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Ours, by class: the type of the weights and the precisions of the activations.
OURS = {
    "f32": ("f32", ["f32"]),
    "bf16": ("bf16", ["f32", "bf16"]),
    "fp8": ("fp8-block", ["f32", "bf16"]),
    "int8": ("int8-channel", ["int8"]),
    "int4": ("int4-g128", ["int8", "f32"]),
    "mxfp4": ("mxfp4", ["int8", "bf16", "f32"]),
    "nvfp4": ("nvfp4", ["int8"]),
    "q8_0": ("q8_0", ["int8"]),
    "q4_k": ("q4_k", ["int8"]),
}
# Kernels of public packages, by class.
PEERS = {
    "f32": ["torch-loop", "onnxruntime"],
    "bf16": ["sgl", "vllm-vec", "torch-loop", "torch-grouped"],
    "fp8": ["sgl"],
    "int8": ["sgl", "onnxruntime"],
    "int4": ["sgl", "onnxruntime"],
    "mxfp4": ["sgl"],
}
SHAPES = ["2048,768,128,8", "4096,3584,8,2", "7168,2048,32,8", "2880,2880,32,4", "4096,1536,32,8", "5120,1536,16,6"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moe", required=True, help="our command")
    parser.add_argument("--python", default=sys.executable, help="the interpreter with the peers")
    parser.add_argument("--shape", action="append", help="H,I,E,k; again for more (default: six)")
    parser.add_argument("--classes", default=",".join(OURS))
    parser.add_argument("--tokens", default="1,8,64,512")
    parser.add_argument("--pairs", type=int, default=5, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--json", help="write every measurement to this file")
    return parser.parse_args()


def lines(command, environment, name):
    """What a contender prints; its complaints go to stderr, and cost it the turn only."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{name} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return []
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def ours(options, shape, dtype, activations):
    command = [options.moe, "bench", "--json", "--shape", shape, "--dtype", dtype, "--activations", activations]
    command += ["--tokens", options.tokens, "--seconds", str(options.seconds), "--threads", str(options.threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"moe bench failed: {done.stderr}")
    report = json.loads(done.stdout)
    for row in report["results"]:
        row["share"] = row["share_of_ceiling"]
    return report["results"]


def contenders(options, shape, weights):
    """Name and a function that measures once, ours first."""
    environment = dict(os.environ, MOE_SHAPE=shape, MOE_CLASS=weights, MOE_TOKENS=options.tokens)
    environment.update(MOE_SECONDS=str(options.seconds), MOE_THREADS=str(options.threads))
    environment.update(OMP_NUM_THREADS=str(options.threads), OMP_PROC_BIND="true", OMP_PLACES="cores")
    dtype, precisions = OURS[weights]
    for precision in precisions:
        yield f"moe/{precision}", lambda p=precision: ours(options, shape, dtype, p)
    for name in PEERS.get(weights, []):
        script = "onnxruntime_peer.py" if name == "onnxruntime" else "torch_peer.py"
        command = [options.python, os.path.join(HERE, script), name]
        yield name, lambda c=command, n=name: lines(c, environment, n)
    for peer in options.peer:
        name, command = peer.split("=", 1)
        yield name, lambda c=shlex.split(command), n=name: lines(c, environment, n)


def table(shape, weights, times, shares):
    """Medians over the turns of our time over the best peer's, which may be another one for each number of tokens."""
    mine = [name for name in times if name.startswith("moe/")]
    peers = [name for name in times if name not in mine]
    print(f"\n{shape} {weights}")
    print(f"{'tokens':>6}  {'ours':<9} {'ms':>9}  {'of ceiling':>10}  {'best peer':<14} {'ms':>9}  {'ratio':>6}")
    tokens = sorted({count for name in times for count in times[name]})
    for count in tokens:
        best = {name: statistics.median(times[name][count]) for name in peers if times[name].get(count)}
        peer = min(best, key=best.get, default=None)
        for name in mine:
            seconds = times[name][count]
            row = f"{count:>6}  {name[4:]:<9} {1e3 * statistics.median(seconds):>9.3f}  "
            row += f"{100 * statistics.median(shares[name][count]):>8.0f} %  "
            if peer:
                ratio = statistics.median(a / b for a, b in zip(seconds, times[peer][count]))
                row += f"{peer:<14} {1e3 * best[peer]:>9.3f}  {ratio:>6.2f}"
            print(row)
    sys.stdout.flush()


def main():
    options = parse()
    everything = []
    for shape in options.shape or SHAPES:
        for weights in options.classes.split(","):
            runs = list(contenders(options, shape, weights))
            times = {name: {} for name, _ in runs}
            shares = {name: {} for name, _ in runs}
            for turn in range(options.pairs):
                for name, measure in runs:
                    for row in measure():
                        times[name].setdefault(row["tokens"], []).append(row["seconds"])
                        shares[name].setdefault(row["tokens"], []).append(row.get("share", float("nan")))
                        everything.append(dict(row, shape=shape, weights=weights, contender=name, turn=turn))
            table(shape, weights, times, shares)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(everything, file, indent=1)


if __name__ == "__main__":
    main()
