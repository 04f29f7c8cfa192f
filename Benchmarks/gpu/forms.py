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
    macro, token_bytes, stage_columns, tile_bytes, stream_teams, stream_threads = 0, 2, 64, 0, 2, 320
    quantize = staticmethod(lambda x: x)

    @staticmethod
    def encode(w):
        """(bytes, scales or None, values) of a matrix."""
        codes = w.bfloat16()
        return codes.view(torch.uint8).flatten(), None, codes.float()

    @staticmethod
    def stage_bytes(chunk, tokens):
        return 16 * chunk + tokens * (chunk + 64)


class E4M3:
    macro, token_bytes, stage_columns, tile_bytes, stream_teams, stream_threads = 1, 1, 128, 0, 2, 448
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
        return 16 * chunk + tokens * (chunk * 2 + 64) + chunk // 128 * 40


class Tiles:
    """Codes of 4 or 8 bits with their scales in tiles of 8 rows and 128 columns, as `codes.cuh` says."""
    token_bytes, stage_columns, stream_teams, stream_threads = 2, 128, 4, 608
    quantize = staticmethod(lambda x: x)

    def __init__(self, macro, bits, group, scale_bytes, pieces):
        """`pieces`: (pair, mask of a half, rotation)"""
        self.macro, self.bits, self.group, self.pieces = macro, bits, group, pieces
        self.tile_bytes = 128 * bits + 8 * scale_bytes

    def tiles(self, halves, scales):
        """[rows, columns] as they stand in 16 bits, and bytes [rows, bytes of scales]."""
        p, parts = padded(halves, 8, 128).long(), self.bits // 4
        r, c = p.shape
        s = padded(scales, 8, self.tile_bytes // 8 - 16 * self.bits)
        # [row group, row, block, part, word, pair, t, half] to [row group, block, part, row, t, word, pair, half]
        n = p.view(r // 8, 8, c // 128, parts, 4, 4 // parts, 4, 2).permute(0, 2, 3, 1, 6, 4, 5, 7)
        wide = n[..., 0] | n[..., 1] << 16
        words = torch.zeros_like(wide[..., 0])
        for pair, mask, rotation in self.pieces:
            x = wide[..., pair] & mask * 0x10001
            words |= (x >> rotation | x << 32 - rotation) & 0xffffffff
        data = words.to(torch.int32).contiguous().view(torch.uint8).reshape(r // 8, c // 128, -1)
        s = s.view(r // 8, 8, c // 128, -1).permute(0, 2, 1, 3).reshape(r // 8, c // 128, -1)
        return torch.cat([data, s], -1).flatten()

    def stage_bytes(self, chunk, tokens):
        columns = chunk * 8 // self.bits
        return 2 * (columns // 128) * self.tile_bytes + tokens * (columns * 2 + 16)


FP4_PIECES = [(0, 0x81c0, 0), (1, 0x81c0, 4), (2, 0x81c0, 10), (3, 0x80c0, 6), (3, 0x0100, 30)]


def fp4(groups, scale):
    """Halves and values of [rows, groups, columns] with scales [rows, groups]."""
    scaled = groups / scale[..., None]
    table = FP4.to(groups.device)
    magnitude = torch.bucketize(scaled.abs(), (table[:7] + table[1:8]) / 2)
    codes = magnitude + 8 * (scaled < 0)
    values = table[codes] * scale[..., None]
    return ((codes & 8) << 12 | (codes & 7) << 6).flatten(1), values.flatten(1)


class MXFP4(Tiles):
    def __init__(self):
        super().__init__(2, 4, 32, 4, FP4_PIECES)

    def encode(self, w):
        r, c = w.shape
        groups = padded(w, 1, 32).view(r, -1, 32)
        exponent = torch.floor(torch.log2(groups.abs().amax(-1).clamp_min(1e-30))) - 2
        halves, values = fp4(groups, torch.exp2(exponent))
        byte = (exponent + 193).long()
        return self.tiles(halves, (byte >> 1 | (byte & 1) << 7).to(torch.uint8)), None, values[:, :c]


class NVFP4(Tiles):
    def __init__(self):
        super().__init__(3, 4, 16, 8, FP4_PIECES)

    def encode(self, w):
        r, c = w.shape
        groups = padded(w, 1, 16).view(r, -1, 16)
        factor = groups.abs().max() / 6 / 448
        scale = (groups.abs().amax(-1) / 6 / factor).clamp(2 ** -9, 448).to(torch.float8_e4m3fn).float()
        halves, values = fp4(groups, scale * factor)
        bits = scale.view(torch.int32) >> 20
        byte = bits - (127 - 9 << 3)
        return self.tiles(halves, (byte >> 4 | (byte & 15) << 4).to(torch.uint8)), factor[None].view(torch.uint8), values[:, :c]


class Int4(Tiles):
    """With zero points."""

    def __init__(self, macro, group):
        super().__init__(macro, 4, group, 128 // group * 4, [(i, 0xf, -4 * i % 32) for i in range(4)])

    def encode(self, w):
        r, c = w.shape
        groups = padded(w, 1, self.group).view(r, -1, self.group)
        low = groups.amin(-1)
        scale = ((groups.amax(-1) - low).clamp_min(1e-10) / 15).bfloat16().float()
        zero = torch.round(-low / scale).clamp(0, 15)
        codes = (torch.round(groups / scale[..., None]) + zero[..., None]).clamp(0, 15)
        values = (codes - zero[..., None]) * scale[..., None]
        numbers = torch.stack([scale, zero + 128], -1).bfloat16().view(torch.uint8).flatten(1)
        return self.tiles(codes.flatten(1).int(), numbers), None, values.flatten(1)[:, :c]


class E4M3Tiles(Tiles):
    def __init__(self, macro, group):
        super().__init__(macro, 8, group, 128 // group * 4, [(0, 0x8000, 8), (0, 0x7f0, 4), (1, 0x8000, 0), (1, 0x7f0, 28)])

    def encode(self, w):
        r, c = w.shape
        groups = padded(w, 1, self.group).view(r, -1, self.group)
        scale = (groups.abs().amax(-1).clamp_min(1e-10) / 448).bfloat16().float()
        codes = (groups / scale[..., None]).clamp(-448, 448).to(torch.float8_e4m3fn)
        values = codes.float() * scale[..., None]
        bits = codes.view(torch.uint8).int().flatten(1)
        numbers = (scale * 2 ** 60)[..., None].expand(-1, -1, 2).bfloat16().contiguous().view(torch.uint8).flatten(1)
        return self.tiles((bits & 128) << 8 | (bits & 127) << 4, numbers), None, values.flatten(1)[:, :c]


FORMS = {"bf16": BF16, "fp8": E4M3, "mxfp4": MXFP4(), "nvfp4": NVFP4(), "int4": Int4(4, 128), "int4-g32": Int4(5, 32),
         "e4m3-g128": E4M3Tiles(6, 128), "e4m3-g32": E4M3Tiles(7, 32)}
