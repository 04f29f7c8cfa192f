# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""Checks the CUDA kernels of the routed experts on a Hopper GPU, then times them. See README.md."""
import argparse
import json
import math
import os
import sys
import time
import traceback

import torch

from compiler import compile_all
from driver import Kernel, pack, seconds
from forms import FORMS
from layer import GPT_OSS, MOST_SHARED, SHAPES, Layer, check, ring_stages, routing

HERE = os.path.dirname(os.path.abspath(__file__))
# Bytes of a weight row in a stage.
STREAMS = {"bf16": (2048,), "fp8": (1024,), "fp8-row": (1024,)} | {n: (512, 1024) if f.bits == 4 else (1024,) for n, f in FORMS.items() if f.tile_bytes}
# Most rows of a tile, or of a pair of tiles that share their weights.
GROUPED = {"bf16": (16, 32, 64, 96, 128, 160, 320), "fp8": (64, 128)} | {n: f.tokens for n, f in FORMS.items() if f.tile_bytes or f.scales_rows}
NAMES = {"qwen3": "qwen3-30b", "ds3": "ds3-ep8", "gptoss": "gptoss-120b", "mixtral": "mixtral"}


def grouped_macros(form, down, tokens):
    cluster = 2 if tokens > 160 else 1
    tokens //= cluster
    step = 16 if down or tokens <= 64 or tokens > 128 else 32
    tile = FORMS[form].tile_bytes
    weights, parts = 32 * tile or 32768, FORMS[form].stage_columns * FORMS[form].token_bytes // 128
    stage = weights + parts * tokens * 128 + (4 * (tokens + 4) if form == "fp8" else 0)
    buffers = (16384 if down else 64 * tokens) if form == "fp8" else step * 256 * (2 if down else 1)
    stages = min(8, (MOST_SHARED - 9216 - buffers) // stage)
    shared = stages * stage + buffers
    return dict(WEIGHTS=FORMS[form].macro, DOWN=int(down), TOKENS=tokens, STEP=step, STAGES=stages, CLUSTER=cluster), shared


def kernel_list(forms):
    """{name: ((source, macros), entry, shared memory, attributes)}"""
    kernels = {n: ((f"{n}.cu", {}), f"experts_{n}", 0, {}) for n in ("sort", "combine", "quantize")}
    kernels["read"] = (("read.cu", {}, HERE), "read_all", 0, {})
    for form in forms:
        if FORMS[form].scales_rows:
            kernels[f"quantize_rows {form}"] = (("quantize_rows.cu", dict(WEIGHTS=FORMS[form].macro)), "experts_quantize_rows", 0, {})
        for chunk in STREAMS[form]:
            macros = dict(WEIGHTS=FORMS[form].macro, CHUNK=chunk)
            kernels[f"stream {form} {chunk}"] = (("stream.cu", macros), "experts_stream", MOST_SHARED, dict(chunk=chunk))
        for tokens in GROUPED[form]:
            for down in (False, True):
                macros, shared = grouped_macros(form, down, tokens)
                kernels[f"{'down' if down else 'up'} {form} {tokens}"] = (("grouped.cu", macros), "experts_grouped", shared, dict(
                    step=macros["STEP"], cluster=macros["CLUSTER"]))
    return kernels


class Kernels(dict):
    """Loaded when first asked for."""

    def __init__(self, listed, paths):
        self.listed, self.paths = listed, paths

    def __missing__(self, name):
        _, entry, shared, attributes = self.listed[name]
        kernel = self[name] = Kernel(self.paths[name], entry, shared)
        for key, value in attributes.items():
            setattr(kernel, key, value)
        return kernel

    def streams(self, form, T=1):
        return [n for n in self.listed if n.startswith(f"stream {form} ") and ring_stages(FORMS[form], self.listed[n][3]["chunk"], T)]

    def grouped(self, form, tokens):
        """`tokens`: of gate and up, and of down, or of both."""
        up, down = tokens if isinstance(tokens, tuple) else (tokens, tokens)
        quantize = f"quantize_rows {form}" if FORMS[form].scales_rows else "quantize"
        return [self[n] for n in ("sort", quantize, f"up {form} {up}", f"down {form} {down}", "combine")]


def isolated(name, limit, function, *arguments):
    """Runs in a child with a time limit, so that a hang or a fault doesn't take the rest along."""
    start, child = time.time(), os.fork()
    if child == 0:
        code = 1
        try:
            torch.zeros(1, device="cuda")
            torch.manual_seed(time.time_ns() % 2 ** 31)
            function(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.time() - start > limit:
            os.kill(child, 9)
        time.sleep(0.02)
    if done[1]:
        print(f"!! {name} failed after {time.time() - start:.0f} s", flush=True)
    return done[1] == 0


def measured(name, limit, function, *arguments):
    """What `function` returns, isolated; None if it failed."""
    reader, writer = os.pipe()
    isolated(name, limit, lambda: os.write(writer, json.dumps(function(*arguments)).encode()))
    os.close(writer)
    with open(reader) as answer:
        return json.loads(answer.read() or "null")


def bound(form):
    """Of relative errors."""
    return 5e-2 if FORMS[form].token_bytes == 1 else 5e-3


def floors(form, size, work, rates):
    """Seconds that the bytes and the operations of a call take at least, by shares of the `ceilings` that kernels come near to."""
    read, bf16, fp8 = rates
    dense = 0.85 * fp8 if FORMS[form].token_bytes == 1 else (0.78 if FORMS[form].tile_bytes else 0.9) * bf16
    return size / (0.92 * read), work / dense


def check_sort(kernels):
    layer = Layer("odd", "bf16")
    for layer.E, layer.k in ((13, 3), (128, 8), (512, 10)):
        for T in (1, 8, 300, 4096, 16384):
            layer.work = None
            ids, _ = routing(T, layer.E, layer.k, "zipf", True)
            work = layer.workspace(T)
            layer.poison()
            layer.sort(kernels["sort"], ids)
            torch.cuda.synchronize()
            flat = ids.flatten()
            count = int((flat >= 0).sum())
            expected = torch.sort(torch.where(flat < 0, layer.E, flat), stable=True).indices[:count].int()
            ends = torch.bincount(flat[flat >= 0], minlength=layer.E).cumsum(0)
            assert torch.equal(work["rows"][:count], expected) and torch.equal(work["offsets"][1:].long(), ends), (layer.E, T)
    print("sort: exact", flush=True)


def check_kernels(title, form, run, counts, bound):
    worst, cases = 0.0, 0
    for shape, biased in (("odd", True), ("qwen3", False)):
        layer = Layer(shape, form, biased, *([GPT_OSS] if biased else []))
        for T in counts:
            for kind, skips in (("uniform", False), ("zipf", True), ("one", False)):
                error, same = check(layer, lambda *a: run(layer, *a), T, kind, skips)
                worst, cases = max(worst, error) if error == error else float("nan"), cases + 1
                if not (error < bound and same):
                    print(f"!! {title} {shape} T={T} {kind}: error {error:.1e}{'' if same else ', other bits the second time'}", flush=True)
    print(f"{title}: at most {worst:.1e} in {cases} cases", flush=True)


def ceilings(kernels):
    """Bytes per second read, and operations per second of dense products in bf16 and fp8."""
    data = torch.empty(4 << 30, dtype=torch.uint8, device="cuda").random_(0, 255)
    sink = torch.zeros(1, dtype=torch.int32, device="cuda")
    read = seconds([lambda: kernels["read"](132 * 4, 512, pack(data), pack(("q", data.numel() // 16)), pack(sink), overlap=False)] * 2)
    a, b = (torch.randn(8192, 8192, device="cuda").bfloat16() for _ in range(2))
    dense = seconds([lambda: torch.matmul(a, b)] * 10)
    qa, qb, one = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).T, torch.ones((), device="cuda")
    fp8 = seconds([lambda: torch._scaled_mm(qa, qb, one, one, out_dtype=torch.bfloat16)] * 10)
    return data.numel() / read, 2 * 8192 ** 3 / dense, 2 * 8192 ** 3 / fp8


def batches(layer, T, count):
    return [(torch.randn(T, layer.H, device="cuda").bfloat16(), *routing(T, layer.E, layer.k, "uniform"),
             torch.empty(T, layer.H, device="cuda", dtype=torch.bfloat16)) for _ in range(count)]


def time_layer(kernels, shape, form, sizes, rates):
    """`sizes`: {T: the numbers of rows of a tile to try}; at most 8 tokens go through every stream, too. A time of a wrong result is none."""
    layer = Layer(shape, form)
    for T, tiles in sizes.items():
        inputs = batches(layer, T, 24 if T <= 8 else 8 if T <= 512 else 2)
        layer.workspace(max(T, 8))
        needs = [layer.needs(i[1]) for i in inputs]
        size, work = (sum(n[i] for n in needs) / len(needs) for i in (0, 1))
        limit = max(floors(form, size, work, rates))
        if T <= 8:
            runs = {n: (lambda i, k=kernels[n]: layer.stream(k, *i)) for n in kernels.streams(form, T)}
        else:
            runs = {}
        runs |= {f"grouped {form} {t}": (lambda i, k=kernels.grouped(form, t): layer.grouped(k, *i)) for t in tiles}
        x, ids, w, y = inputs[0]
        some = torch.randperm(T, device="cuda")[:T if T <= 64 else 16]
        truth = layer.truth(x[some], ids[some], w[some])
        for name, run in runs.items():
            t = seconds([lambda i=i: run(i) for i in inputs], 9 if T <= 512 else 5)
            y.fill_(math.nan)
            run(inputs[0])
            error = ((y[some].float() - truth).norm() / truth.norm()).item()
            if not error < bound(form):
                raise ValueError(f"{name}, T = {T}: error {error:.1e}")
            print(f"{shape:8}{T:6} {name:22}{t * 1e6:10.1f} us {work / t / 1e12:7.1f} TFLOP/s {size / t / 1e12:6.3f} TB/s, "
                  f"{limit / t * 100:5.1f} % of the limit; error {error:.1e}", flush=True)
        if T >= 4096:
            time_parts(layer, kernels, form, tiles, inputs[0])


def time_parts(layer, kernels, form, tiles, batch):
    x, ids, w, y = batch
    work = 2 * layer.H * layer.I * ids.numel()
    parts = [f"sort {seconds([lambda: layer.sort(kernels['sort'], ids)] * 4) * 1e6:.0f}"]
    quantize = kernels.grouped(form, tiles[0])[1]
    if layer.form.token_bytes == 1:
        parts.append(f"quantize {seconds([lambda: layer.quantize(quantize, x)] * 4) * 1e6:.0f}")
    if layer.form.scales_rows:
        parts.append(f"and {seconds([lambda: layer.quantize_intermediate(quantize, ids.numel())] * 4) * 1e6:.0f}")
    for tokens in tiles:
        _, _, up, down, _ = kernels.grouped(form, tokens)
        a, b = seconds([lambda: layer.up(up, x)] * 3, 5), seconds([lambda: layer.down(down)] * 3, 5)
        parts.append(f"{tokens}: up {a * 1e6:.0f} ({2 * work / a / 1e12:.0f} TFLOP/s) down {b * 1e6:.0f} ({work / b / 1e12:.0f})")
    parts.append(f"combine {seconds([lambda: layer.combine(kernels['combine'], ids, w, y)] * 4) * 1e6:.0f}")
    print("        us: " + ", ".join(parts), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["bf16", "fp8", "mxfp4", "int4"])
    parser.add_argument("--shapes", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--cache", default=os.path.join(HERE, ".cubins"), help="where compiled kernels are kept")
    parser.add_argument("--check-only", action="store_true")
    arguments = parser.parse_args()
    listed = kernel_list(arguments.forms)
    start = time.time()
    kernels = Kernels(listed, compile_all({n: k[0] for n, k in listed.items()}, arguments.cache))
    print(f"{len(listed)} kernels compiled in {time.time() - start:.1f} s", flush=True)
    fine = isolated("sort", 30, check_sort, kernels)
    for form in arguments.forms:
        for name in kernels.streams(form):
            counts = [T for T in (1, 2, 7, 8) if name in kernels.streams(form, T)]
            fine &= isolated(name, 20, check_kernels, name, form, lambda l, *a, n=name: l.stream(kernels[n], *a), counts, bound(form))
        for i, tokens in enumerate(GROUPED[form]):
            counts = (1, 2, 7, 8, 64, 129, 512, 4096) if tokens == 128 or tokens > 160 else ((8, 64, 512), (7, 129, 512), (2, 129, 512))[i % 3]
            fine &= fine and isolated(f"grouped {form} {tokens}", 20, check_kernels, f"grouped {form} {tokens}", form,
                     lambda l, *a, t=tokens: l.grouped(kernels.grouped(form, t), *a), counts, bound(form))
    if arguments.check_only or not fine:
        sys.exit(not fine)
    rates = measured("ceilings", 60, ceilings, kernels)
    if not rates:
        sys.exit(1)
    print(f"{torch.cuda.get_device_name(0)}: read {rates[0] / 1e12:.3f} TB/s, dense bf16 {rates[1] / 1e12:.0f} and fp8 {rates[2] / 1e12:.0f} TFLOP/s")
    for shape in arguments.shapes:
        for form in arguments.forms:
            sizes = {T: tiles_for(shape, form, T) for T in (1, 4, 8, 64, 512, 4096, 16384)}
            fine &= isolated(f"{shape} {form}", 30, time_layer, kernels, shape, form, sizes, rates)
    sys.exit(not fine)


def tiles_for(shape, form, T):
    """The tiles worth trying: the smallest that hold an expert's rows, their neighbours above, and what `lowered` makes of those."""
    H, I, E, k = SHAPES[shape]
    choice, mean = GROUPED[form], T * k / E
    first = next((i for i, t in enumerate(choice) if t >= mean), len(choice) - 1)
    tiles = choice[max(0, first - (1 if first == len(choice) - 1 else 0)):first + 2]
    pairs = [tuple(lowered(form, t, E * blocks, mean) for blocks in (-(-I // 128), -(-H // 256))) for t in tiles]
    return [*tiles, *(p for p, t in zip(pairs, tiles) if p != (t, t))]


def lowered(form, most, blocks, mean, multiprocessors=132):
    """As `HopperKernels.tokens` does: of a product that has one to two tiles for each multiprocessor the lowest that are no more."""
    def rounds(tokens):
        tiles = sum(math.ceil((mean + deviation * mean ** 0.5) / tokens) for deviation in (-1, 0, 1)) / 3
        return math.ceil(blocks * tiles / multiprocessors)
    if form == "fp8" or most > 160 or rounds(most) != 2:
        return most
    return next(t for t in GROUPED[form] if rounds(t) == 2)


if __name__ == "__main__":
    main()
