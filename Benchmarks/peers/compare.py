# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""The routed experts of one layer in swift-moe and in public packages, in turns in one run.

Every contender is a process. It makes its weights, prints a line, and then answers each number of tokens on its stdin by
one line of JSON: a list of {"tokens": T, "seconds": best}, with "contender": NAME where the process holds several. It ends
with its stdin. It finds in the environment

    MOE_SHAPE     hidden,intermediate,experts,top-k
    MOE_CLASS     bf16, fp8, int8, int4, mxfp4, …: the weights
    MOE_SECONDS   how long to measure each number of tokens
    MOE_THREADS   how many threads
    MOE_ROUTING   a safetensors file, the same for all: topk_ids I32 [tokens, top-k], topk_weights F32 alike

A batch of T tokens is T of that file's: batch 0 the first T, batch 1 the next. Each contender takes 8 batches of fewer
than 64 tokens, else 4, in turns, each at least once after a first call that doesn't count; `seconds` is the mean over the
batches of each one's fastest call. So all do the same work, which with few tokens depends on how many experts they meet.

--peer NAME=COMMAND adds one; a contender that has nothing for a class ends at once. peer.py has all of this in Python.
"""

import argparse
import array
import contextlib
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile

from batches import MOST, batches

HERE = os.path.dirname(os.path.abspath(__file__))

# Ours, by class: the type of the weights and the precisions of the activations. Groups of N are of 128 inputs or, where those
# don't divide the sizes, of 64.
OURS = {
    "bf16": ("bf16", ["f32", "bf16"]),
    "fp8": ("fp8-block", ["f32", "bf16"]),
    "int8": ("int8-channel", ["int8"]),
    "int4": ("int4-gN", ["int8", "f32"]),
    "mxfp4": ("mxfp4", ["int8", "f32"]),
    "nvfp4": ("nvfp4", ["int8"]),
    "q8_0": ("q8_0", ["int8"]),
    "q4_k": ("q4_k", ["int8"]),
    "q6_k": ("q6_k", ["int8"]),
}
# Drivers of public packages, by class: the file, and the kernels that it runs.
SGL, GGML = ["torch_peer.py", "sgl"], ["ggml_peer.py"]
PEERS = {
    "bf16": [SGL, ["torch_peer.py", "vllm-vec"], ["torch_peer.py", "torch-loop", "torch-grouped"]],
    "fp8": [SGL],
    "int8": [SGL, ["onnxruntime_peer.py"]],
    "int4": [SGL, ["onnxruntime_peer.py"]],
    "mxfp4": [SGL, GGML],
    "nvfp4": [GGML],
    "q8_0": [GGML],
    "q4_k": [GGML],
    "q6_k": [GGML],
}
SHAPES = ["2048,768,128,8", "4096,3584,8,2", "7168,2048,32,8", "2880,2880,32,4", "4096,1536,32,8", "5120,1536,16,6"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moe", required=True, help="our command")
    parser.add_argument("--python", default=sys.executable, help="the interpreter with the peers")
    parser.add_argument("--shape", action="append", help="H,I,E,k; again for more (default: six)")
    parser.add_argument("--classes", default=",".join(OURS))
    parser.add_argument("--tokens", default="1,8,64,512")
    parser.add_argument("--turns", type=int, default=5, help="measurements of each contender")
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--json", help="append every measurement to this file, one object per line")
    return parser.parse_args()


def write_routing(path, shape, tokens):
    """Uniform choices of experts with equal weights for all batches of the greatest number of tokens."""
    _, _, experts, top_k = map(int, shape.split(","))
    count, generator = max(t * batches(t) for t in tokens), random.Random(shape)
    ids = array.array("i", [e for _ in range(count) for e in generator.sample(range(experts), top_k)]).tobytes()
    weights = array.array("f", [1 / top_k]) * (count * top_k)
    header, place = {}, 0
    for name, kind in (("topk_ids", "I32"), ("topk_weights", "F32")):
        header[name] = {"dtype": kind, "shape": [count, top_k], "data_offsets": [place, place + len(ids)]}
        place += len(ids)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + ids + weights.tobytes())


class Contender:
    """A process that measures when it is asked to. One that fails says so on stderr, and is left out from then on."""

    def __init__(self, name, command, environment):
        self.name = name
        self.complaints = tempfile.TemporaryFile("w+")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=self.complaints
        )
        # One after the other: preparing takes twice the memory.
        self.is_ready = self.process.stdout.readline() != "" or self.give_up()

    def give_up(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.process.wait() != 0:
            self.complaints.seek(0)
            print(f"{self.name} failed: {self.complaints.read().strip().splitlines()[-1:]}", file=sys.stderr)
        return False

    def measure(self, tokens):
        if not self.is_ready:
            return []
        try:
            self.process.stdin.write(f"{tokens}\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        self.is_ready = line != "" or self.give_up()
        return [{"contender": self.name, **row} for row in json.loads(line or "[]")]

    def end(self):
        if self.is_ready:
            self.process.communicate()


def contenders(options, shape, weights, routing):
    environment = dict(os.environ, MOE_SHAPE=shape, MOE_CLASS=weights, MOE_SECONDS=str(options.seconds))
    environment["MOE_ROUTING"] = routing
    environment.update(MOE_THREADS=str(options.threads), OMP_NUM_THREADS=str(options.threads))
    environment.update(OMP_PROC_BIND="true", OMP_PLACES="cores")
    dtype, precisions = OURS[weights]
    hidden, intermediate, *_ = map(int, shape.split(","))
    dtype = dtype.replace("gN", "g128" if hidden % 128 == intermediate % 128 == 0 else "g64")
    for precision in precisions:
        command = [options.moe, "bench", "--ask", "--shape", shape, "--dtype", dtype, "--activations", precision]
        command += ["--routing", f"trace:{routing}", "--batches", str(MOST), "--seconds", str(options.seconds)]
        command += ["--threads", str(options.threads)]
        yield Contender(f"moe/{precision}", command, os.environ)
    for file, *names in PEERS[weights]:
        command = [options.python, os.path.join(HERE, file), *names]
        yield Contender(file.removesuffix("_peer.py"), command, environment)
    for peer in options.peer:
        name, command = peer.split("=", 1)
        yield Contender(name, shlex.split(command), environment)


def table(shape, weights, rows):
    """Medians over the turns, and of the ratio to the best peer, which may be another one for each number of tokens."""
    print(f"\n{shape} {weights}\n")
    print("| tokens | activations | ms | of ceiling | best peer | ms | ratio |\n|---|---|---|---|---|---|---|")
    for tokens in sorted({row["tokens"] for row in rows}):
        times, shares = {}, {}
        for row in rows:
            if row["tokens"] == tokens:
                times.setdefault(row["contender"], []).append(row["seconds"])
                shares.setdefault(row["contender"], []).append(row.get("share_of_ceiling"))
        medians = {name: statistics.median(seconds) for name, seconds in times.items()}
        peer = min((name for name in times if not name.startswith("moe/")), key=medians.get, default=None)
        for name in (name for name in times if name.startswith("moe/")):
            row = f"| {tokens} | {name[4:]} | {1e3 * medians[name]:.2f} | {100 * statistics.median(shares[name]):.0f} % |"
            if peer:
                ratio = statistics.median(a / b for a, b in zip(times[name], times[peer]))
                row += f" {peer} | {1e3 * medians[peer]:.2f} | {ratio:.2f} |"
            else:
                row += " – | | |"
            print(row, flush=True)


def rounds(tokens):
    """How often a turn measures: few tokens wait for memory, whose speed changes within seconds. Who is first changes, too."""
    return 3 if tokens < 64 else 1


def compare(options, shape, weights, counts, routing):
    running = list(contenders(options, shape, weights, routing))
    rows = []
    for turn in range(options.turns):
        for tokens in counts:
            for place in range(rounds(tokens)):
                for contender in running if (turn + place) % 2 == 0 else reversed(running):
                    rows += [dict(row, turn=turn) for row in contender.measure(tokens)]
    for contender in running:
        contender.end()
    table(shape, weights, rows)
    if options.json:
        with open(options.json, "a") as file:
            for row in rows:
                print(json.dumps(dict(row, shape=shape, weights=weights)), file=file)


def main():
    options = parse()
    counts = [int(tokens) for tokens in options.tokens.split(",")]
    for shape in options.shape or SHAPES:
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as routing:
            write_routing(routing.name, shape, counts)
            for weights in options.classes.split(","):
                compare(options, shape, weights, counts, routing.name)


if __name__ == "__main__":
    main()
