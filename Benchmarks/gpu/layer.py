# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""Layers of routed experts on the GPU: weights in one region for each expert, the launches, and a float32 truth."""
import math

import torch

from driver import BF16, BYTES, LONG_WORDS, pack, tensor_map
from forms import FORMS

SHAPES = {"qwen3": (2048, 768, 128, 8), "ds3": (7168, 2048, 32, 8), "gptoss": (2880, 2880, 128, 4),
          "mixtral": (4096, 14336, 8, 2), "odd": (1040, 336, 13, 3)}
MOST_SHARED = 232448
INFINITY = float("inf")
SILU = (1.0, 0.0, INFINITY, INFINITY, 0.0, 0.0)
GPT_OSS = (1.702, 1.0, 7.0, INFINITY, 0.0, 0.0)


class Layer:
    def __init__(self, shape, form, biased=False, activation=SILU, keeps_values=True):
        self.H, self.I, self.E, self.k = H, I, E, _ = SHAPES[shape]
        self.name, self.form, self.activation = form, FORMS[form], activation
        # Of rows as the products take them.
        self.columns = {n: -(-n // 128) * 128 if self.form.scales_rows else n for n in (H, I)}
        self.sms = torch.cuda.get_device_properties(0).multi_processor_count
        self.grid = torch.zeros(4 + 2 * 256 * 8, dtype=torch.int32, device="cuda")
        self.values, self.work, self.maps = [], None, {}
        self.region = None
        for e in range(E):
            up = torch.randn(2 * I, H, device="cuda") * H ** -0.5
            down = torch.randn(H, I, device="cuda") * I ** -0.5
            halves = [self.form.encode(up[:I]), self.form.encode(up[I:])]
            second = self.form.encode(down)
            biases = [torch.randn(2, I, device="cuda"), torch.randn(H, device="cuda")] if biased else [None, None]
            parts = {"up": torch.cat([h[0] for h in halves]), "down": second[0]}
            if second[1] is not None:
                parts |= {"up scales": torch.cat([h[1] for h in halves]), "down scales": second[1]}
            if biased:
                parts |= {"up bias": biases[0].view(torch.uint8).flatten(), "down bias": biases[1].view(torch.uint8)}
            if self.region is None:
                self.offsets, size = {}, 0
                for name, part in parts.items():
                    self.offsets[name] = size
                    size += (part.numel() + 255) & ~255
                self.expert_bytes, self.weight_bytes = size, sum(p.numel() for p in parts.values())
                self.region = torch.empty(E, size, dtype=torch.uint8, device="cuda")
            for name, part in parts.items():
                self.region[e, self.offsets[name]:self.offsets[name] + part.numel()] = part
            if keeps_values:
                self.values.append((torch.cat([h[2] for h in halves]), second[2], *biases))

    def part(self, name):
        return self.region[0, self.offsets[name]:] if name in self.offsets else None

    def workspace(self, T):
        if self.work is None or self.work["tokens"] < T:
            P, d = T * self.k, dict(device="cuda")
            blocks = lambda n: (n + 127) // 128
            self.work = {
                "tokens": T, "inter": torch.empty(max(P, min(P, 256) * min(T, 8)), self.I, dtype=torch.bfloat16, **d),
                "codes": torch.empty(P, self.columns[self.I], dtype=torch.uint8, **d), "scales": torch.empty(P, blocks(self.I), **d),
                "x codes": torch.empty(T, self.columns[self.H], dtype=torch.uint8, **d), "x scales": torch.empty(T, blocks(self.H), **d),
                "out": torch.empty(P, self.H, dtype=torch.bfloat16, **d), "rows": torch.empty(P, dtype=torch.int32, **d),
                "offsets": torch.empty(self.E + 1, dtype=torch.int32, **d),
                "counts": torch.empty(64 * self.E, dtype=torch.int32, **d)}
            self.maps = {}
        return self.work

    def poison(self):
        for name, tensor in self.work.items():
            if name not in ("tokens", "counts"):
                tensor.view(torch.uint8).fill_(255) if tensor.dtype != torch.int32 else tensor.fill_(-7)

    def stream(self, kernel, x, ids, w, y):
        """The whole layer of at most 8 tokens."""
        T, p = x.shape[0], self.part
        inter = self.workspace(max(T, 8))["inter"]
        stages = ring_stages(self.form, kernel.chunk, T)
        maps = [bytes(128)] * 2 if self.form.tile_bytes else [self.stream_map(which, kernel.chunk) for which in ("up", "down")]
        arguments = pack(x, ids, w, p("up"), p("down"), p("up scales"), p("down scales"), p("up bias"), p("down bias"),
                         ("q", self.expert_bytes), inter, y, self.grid, *self.activation, T, self.k, self.H, self.I, stages, 0, self.E, 0)
        kernel(self.sms, self.form.stream_threads, *maps, arguments, cooperative=True)

    def stream_map(self, which, chunk):
        """Rows of gate and then of up, or of down, in boxes of 8."""
        if (which, chunk) not in self.maps:
            rows, columns = (2 * self.I, self.H) if which == "up" else (self.H, self.I)
            pitch = columns * self.form.token_bytes
            self.maps[which, chunk] = tensor_map(self.part(which).data_ptr(), LONG_WORDS, (pitch // 8, rows, self.E),
                                                 (pitch, self.expert_bytes), (chunk // 8, 8, 1), False)
        return self.maps[which, chunk]

    def weight_map(self, which, cluster):
        """Each block of a cluster copies its part of a tile of 256 rows."""
        key, groups = (which, cluster), 16 // cluster
        if key not in self.maps:
            rows, columns, e = (self.I, self.H, self.E) if which == "up" else (self.H, self.I, self.E)
            address, pitch = self.part(which).data_ptr(), columns * self.form.token_bytes
            if tile := self.form.tile_bytes:
                blocks = (columns + 127) // 128
                group = blocks * tile
                sizes = (tile // 8, blocks, 2, rows // 8, e) if which == "up" else (tile // 8, blocks, 2, rows // 16, e)
                strides = (tile, rows // 8 * group, group) if which == "up" else (tile, group, 2 * group)
                self.maps[key] = tensor_map(address, LONG_WORDS, sizes, (*strides, self.expert_bytes), (tile // 8, 1, 2, groups, 1), False)
            else:
                sizes = (columns, 8, 2, rows // 8, e) if which == "up" else (columns, 8, 2, rows // 16, e)
                strides = (pitch, rows * pitch, 8 * pitch) if which == "up" else (pitch, 8 * pitch, 16 * pitch)
                self.maps[key] = tensor_map(address, BF16 if self.form.token_bytes == 2 else BYTES, sizes,
                                              (*strides, self.expert_bytes), (128 // self.form.token_bytes, 8, 2, groups, 1))
        return self.maps[key]

    def row_map(self, step):
        if ("rows", step) not in self.maps:
            b = self.form.token_bytes
            rows = self.work["codes" if b == 1 else "inter"]
            self.maps["rows", step] = tensor_map(rows.data_ptr(), BYTES if b == 1 else BF16, (self.columns[self.I], rows.shape[0]),
                                                 (self.columns[self.I] * b,), (128 // b, step))
        return self.maps["rows", step]

    def sort(self, kernel, ids):
        work, pairs = self.workspace(ids.shape[0]), ids.numel()
        kernel(max(1, min(64, -(-pairs // 512))), 256,
               pack(ids, work["offsets"], work["rows"], work["counts"], self.grid, pairs, self.E))

    def quantize(self, kernel, x):
        T, work = x.shape[0], self.workspace(x.shape[0])
        pieces = T if self.form.scales_rows else T * -(-self.H // 128) / 2
        kernel(min(self.sms * 8, math.ceil(pieces / 8)), 256, pack(x, work["x codes"], work["x scales"], T, self.H, None))

    def quantize_intermediate(self, kernel, rows):
        work = self.work
        kernel(min(self.sms * 8, math.ceil(rows / 8)), 256, pack(
            work["inter"], work["codes"], work["scales"], 0, self.I, work["offsets"][self.E:]))

    def up(self, kernel, x):
        work = self.workspace(x.shape[0])
        quantized = self.form.token_bytes == 1
        result = "codes" if quantized and not self.form.scales_rows else "inter"
        kernel(self.sms // kernel.cluster * kernel.cluster, 384, self.weight_map("up", kernel.cluster), bytes(128), pack(
            work["offsets"], work["x codes"] if quantized else x, work["x scales"], self.part("up scales"), work["rows"],
            self.k, self.columns[self.H], work[result], work["scales"], None, self.part("up bias"),
            *self.activation, self.I, 0, ("q", self.expert_bytes), self.grid, self.E, 0))

    def down(self, kernel):
        work = self.work
        kernel(self.sms // kernel.cluster * kernel.cluster, 384, self.weight_map("down", kernel.cluster), self.row_map(kernel.step), pack(
            work["offsets"], None, work["scales"], self.part("down scales"), work["rows"], self.k, self.columns[self.I], work["out"], None,
            None, self.part("down bias"), *self.activation, self.H, 0, ("q", self.expert_bytes), self.grid, self.E, 0))

    def combine(self, kernel, ids, w, y):
        T = ids.shape[0]
        kernel(min(self.sms * 8, -(-T * self.H // 2048)), 256, pack(self.work["out"], ids, w, y, T, self.k, self.H, self.E, 0, 0, None))

    def grouped(self, kernels, x, ids, w, y):
        """Sort, gate and up, down, combine; activations are quantised beside the sort, and by rows after gate and up, too."""
        sort, quantize, up, down, combine = kernels
        self.sort(sort, ids)
        if self.form.token_bytes == 1:
            self.quantize(quantize, x)
        self.up(up, x)
        if self.form.scales_rows:
            self.quantize_intermediate(quantize, ids.numel())
        self.down(down)
        self.combine(combine, ids, w, y)

    def truth(self, x, ids, w):
        y = torch.zeros(x.shape[0], self.H, device="cuda")
        alpha, beta, limit, *_ = self.activation
        x = x.float()
        for e in ids[ids >= 0].unique().tolist():
            up, down, up_bias, down_bias = self.values[e]
            t, s = (ids == e).nonzero(as_tuple=True)
            both = self.form.quantize(x[t]) @ up.T
            g, u = both[:, :self.I], both[:, self.I:]
            if up_bias is not None:
                g, u = g + up_bias[0], u + up_bias[1]
            g, u = g.clamp(max=limit), u.clamp(-limit, limit)
            o = self.form.quantize(g * torch.sigmoid(alpha * g) * (u + beta)) @ down.T
            y.index_add_(0, t, (o if down_bias is None else o + down_bias) * w[t, s][:, None])
        return y

    def needs(self, ids):
        """(bytes, operations) that a call needs."""
        T, touched = ids.shape[0], ids[ids >= 0].unique().numel()
        return touched * self.weight_bytes + 4 * T * self.H, 6 * self.H * self.I * int((ids >= 0).sum())


def ring_stages(form, chunk, tokens):
    """Of the stream, which its teams take in turns; 0: they don't fit."""
    stages = min(24, (MOST_SHARED - 28672) // ((form.stage_bytes(chunk, tokens) + 127) & ~127))
    return stages - stages % form.stream_teams


def routing(T, E, k, kind, skips=False):
    if kind == "uniform":
        score = torch.rand(T, E, device="cuda")
    elif kind == "zipf":
        score = -torch.log(-torch.log(torch.rand(T, E, device="cuda")))
        score -= torch.log(torch.arange(1, E + 1, device="cuda").float()) * 1.2
    else:
        score = torch.rand(1, E, device="cuda").expand(T, E)
    ids = score.topk(k, 1).indices.int().contiguous()
    if skips:
        ids[torch.rand(T, k, device="cuda") < 0.2] = -1
    w = torch.rand(T, k, device="cuda") + 0.1
    return ids, (w / w.sum(1, keepdim=True)).contiguous()


def check(layer, run, T, kind, skips=False):
    """Relative error of a poisoned run on fresh data, and whether a second gives the same bits."""
    x = torch.randn(T, layer.H, device="cuda").bfloat16()
    ids, w = routing(T, layer.E, layer.k, kind, skips)
    results = []
    for _ in range(2):
        y = torch.full((T, layer.H), float("nan"), device="cuda", dtype=torch.bfloat16)
        layer.workspace(max(T, 8))
        layer.poison()
        run(x, ids, w, y)
        torch.cuda.synchronize()
        results.append(y)
    truth, y = layer.truth(x, ids, w), results[0].float()
    error = ((y - truth).norm() / truth.norm().clamp_min(1e-30)).item() if torch.isfinite(y).all() else float("nan")
    return error, torch.equal(results[0].view(torch.int16), results[1].view(torch.int16))
