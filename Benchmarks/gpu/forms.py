# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""Forms of weights: from float32 rows to bytes and scales as the kernels want them, and the values those stand for."""
import torch

FP4 = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6])


def padded(w, rows, columns):
    r, c = w.shape
    return torch.nn.functional.pad(w, (0, -c % columns, 0, -r % rows))


def fake_e4m3(x):
    """Rows in groups of 128 as e4m3 with a scale of their own, as values."""
    c = x.shape[-1]
    groups = torch.nn.functional.pad(x, (0, -c % 128)).view(*x.shape[:-1], -1, 128)
    scale = groups.abs().amax(-1, keepdim=True).clamp_min(1e-10) / 448
    return ((groups / scale).to(torch.float8_e4m3fn).float() * scale).view(*x.shape[:-1], -1)[..., :c]


class BF16:
    macro, token_bytes, stage_columns = 0, 2, 64
    quantize = staticmethod(lambda x: x)

    @staticmethod
    def encode(w):
        """(bytes, scales or None, values) of a matrix."""
        codes = w.bfloat16()
        return codes.view(torch.uint8).flatten(), None, codes.float()

    @staticmethod
    def stage_bytes(chunk, tokens):
        return 16 * (chunk + 64) + tokens * (chunk + 64)


class E4M3:
    macro, token_bytes, stage_columns = 1, 1, 128
    quantize = staticmethod(fake_e4m3)

    @staticmethod
    def encode(w):
        r, c = w.shape
        p = padded(w, 128, 128)
        blocks = p.view(p.shape[0] // 128, 128, p.shape[1] // 128, 128)
        scale = blocks.abs().amax((1, 3)).clamp_min(1e-10) / 448
        codes = (blocks / scale[:, None, :, None]).to(torch.float8_e4m3fn)
        values = (codes.float() * scale[:, None, :, None]).view(p.shape)[:r, :c]
        scales = torch.ones(scale.shape[0], (scale.shape[1] + 3) // 4 * 4, device=w.device)
        scales[:, :scale.shape[1]] = scale
        return codes.view(p.shape)[:r, :c].contiguous().view(torch.uint8).flatten(), scales.view(torch.uint8).flatten(), values

    @staticmethod
    def stage_bytes(chunk, tokens):
        return 16 * (chunk + 64) + tokens * (chunk * 2 + 64) + 2 * chunk // 128 * 4


class MXFP4:
    macro, token_bytes, stage_columns = 2, 2, 128
    quantize = staticmethod(lambda x: x)

    @staticmethod
    def encode(w):
        r, c = w.shape
        groups = padded(w, 1, 32).view(r, -1, 32)
        exponent = torch.floor(torch.log2(groups.abs().amax(-1).clamp_min(1e-30))) - 2
        scaled = groups / torch.exp2(exponent)[..., None]
        table = FP4.to(w.device)
        magnitude = torch.bucketize(scaled.abs(), (table[:7] + table[1:8]) / 2)
        codes = magnitude + 8 * (scaled < 0)
        values = (table[codes] * torch.exp2(exponent)[..., None]).view(r, -1)[:, :c]
        return MXFP4.tiles(codes.view(r, -1).to(torch.uint8), (exponent + 127).to(torch.uint8)), None, values

    @staticmethod
    def tiles(codes, scales):
        """[rows, columns] and [rows, columns / 32] in tiles of 8 rows and 128 columns, as `codes.cuh` says."""
        p, s = padded(codes, 8, 128), padded(scales, 8, 4)
        r, c = p.shape
        # [row group, row, block, j, i, t, pair] to [row group, block, row, t, j, pair, i]
        n = p.view(r // 8, 8, c // 128, 4, 4, 4, 2).permute(0, 2, 1, 5, 3, 6, 4).contiguous().view(r // 8, c // 128, 8, 64, 2)
        data = (n[..., 0] | n[..., 1] << 4).view(r // 8, c // 128, 512)
        s = s.view(r // 8, 8, c // 128, 4).permute(0, 2, 1, 3).contiguous().view(r // 8, c // 128, 32)
        return torch.cat([data, s], -1).flatten()

    @staticmethod
    def stage_bytes(chunk, tokens):
        return 2 * (chunk * 2 // 128) * 544 + tokens * (chunk * 4 + 16)


FORMS = {"bf16": BF16, "fp8": E4M3, "mxfp4": MXFP4}
