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


def fake_e4m3_rows(x):
    """Rows as e4m3 with a scale for each, as values."""
    scale = x.abs().amax(-1, keepdim=True).clamp_min(1 / 512) / 448
    return (x / scale).to(torch.float8_e4m3fn).float() * scale


class BF16:
    macro, token_bytes, stage_columns, tile_bytes, stream_teams, stream_threads, scales_rows = 0, 2, 64, 0, 2, 352, False
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
    macro, token_bytes, stage_columns, tile_bytes, stream_teams, stream_threads, scales_rows = 1, 1, 128, 0, 2, 480, False
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


class E4M3Rows(E4M3):
    """With a scale for each row."""
    macro, scales_rows, tokens = 13, True, (16, 32, 64, 96, 128, 160)
    quantize = staticmethod(fake_e4m3_rows)

    @staticmethod
    def encode(w):
        scale = w.abs().amax(1) / 448
        codes = (w / scale[:, None]).to(torch.float8_e4m3fn)
        return codes.view(torch.uint8).flatten(), scale.view(torch.uint8), codes.float() * scale[:, None]

    @staticmethod
    def stage_bytes(chunk, tokens):
        return 16 * chunk + tokens * (chunk * 2 + 64) + 128


class Tiles:
    """Codes of 4 or 8 bits with their scales in tiles of 8 rows and 128 columns, as `codes.cuh` says."""
    token_bytes, stage_columns, stream_teams, stream_threads, scales_rows = 2, 128, 4, 608, False
    quantize = staticmethod(lambda x: x)

    def __init__(self, macro, bits, group, scale_bytes, pieces):
        """`pieces`: (pair, mask of a half, rotation)"""
        self.macro, self.bits, self.group, self.pieces = macro, bits, group, pieces
        self.tile_bytes = 128 * bits + 8 * scale_bytes
        # More than so many rows leave no room for three stages of the greatest tiles.
        self.tokens = (16, 32, 64, 96, 128) if self.tile_bytes <= 1152 else (16, 32, 64, 96)

    def words(self, p):
        """[row group, block, (part,) row, t, word] of [rows, columns] as they stand in 16 bits."""
        parts, (r, c) = self.bits // 4, p.shape
        # [row group, row, block, part, word, pair, t, half] to [row group, block, part, row, t, word, pair, half]
        n = p.view(r // 8, 8, c // 128, parts, 4, 4 // parts, 4, 2).permute(0, 2, 3, 1, 6, 4, 5, 7)
        wide = n[..., 0] | n[..., 1] << 16
        words = torch.zeros_like(wide[..., 0])
        for pair, mask, rotation in self.pieces:
            x = wide[..., pair] & mask * 0x10001
            words |= (x >> rotation | x << 32 - rotation) & 0xffffffff
        return words

    def tiles(self, codes, scales):
        """[rows, columns] as `words` takes them, and bytes [rows, bytes of scales]."""
        p = padded(codes, 8, 128).long()
        r, c = p.shape
        s = padded(scales, 8, self.tile_bytes // 8 - 16 * self.bits)
        data = self.words(p).to(torch.int32).contiguous().view(torch.uint8).reshape(r // 8, c // 128, -1)
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


class MXFP4E4M3(Tiles):
    """MXFP4 that becomes e4m3, as `codes.cuh` says; a quarter of the groups are made smaller, so that they are far apart, too."""
    token_bytes, stream_threads, scales_rows = 1, 736, True
    quantize = staticmethod(fake_e4m3_rows)

    def __init__(self):
        super().__init__(12, 4, 32, 4, [])

    def stage_bytes(self, chunk, tokens):
        return super().stage_bytes(chunk, tokens) + tokens * 48 + 64

    def words(self, p):
        r, c = p.shape
        n = p.view(r // 8, 8, c // 128, 4, 4, 2, 4).transpose(1, 2)
        i, second = torch.arange(4, device=p.device), torch.arange(2, device=p.device)[:, None]
        return ((n & 7) << 16 * second + 4 * i | n >> 3 << 8 * i + 7 - 4 * second).sum((-1, -2))

    def encode(self, w):
        r, c = w.shape
        groups = padded(w, 1, 128).view(r, -1, 32)
        exponent = torch.floor(torch.log2(groups.abs().amax(-1).clamp_min(2 ** -20))) - 2
        halves, values = fp4(groups, torch.exp2(exponent))
        less = torch.randint(0, 9, exponent.shape, device=w.device) * (torch.rand(exponent.shape, device=w.device) < 0.25)
        fours = (exponent - less).view(r, -1, 4)
        pairs = torch.nn.functional.pad(fours.amax(-1), (0, fours.shape[1] % 2), value=-100).view(r, -1, 2)
        greatest = pairs.amax(-1).repeat_interleave(2, 1)[:, :fours.shape[1]]
        factor = (greatest + 121).long()
        bytes = (12 - (greatest[..., None] - fours).clamp_max(11).long() << 3 + 8 * torch.arange(4, device=w.device)).sum(-1)
        numbers = (bytes | (factor & 15) << 23 | factor >> 4 << 7).to(torch.int32).view(torch.uint8)
        values = values.view(r, -1, 32) * torch.exp2(-less)[..., None]
        return self.tiles(halves >> 12 & 8 | halves >> 6 & 7, numbers), None, values.flatten(1)[:, :c]


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


class Integers(Tiles):
    """With zero points or, of a product of code and scale, with minima."""

    def __init__(self, macro, bits, group, has_minimums=False):
        super().__init__(macro, bits, group, 128 // group * 4, [(i, 2 ** bits - 1, -bits * i % 32) for i in range(16 // bits)])
        self.has_minimums = has_minimums

    def encode(self, w):
        r, c = w.shape
        groups = padded(w, 1, self.group).view(r, -1, self.group)
        least, most = (0, 15) if self.bits == 4 else (-128, 127)
        low = groups.amin(-1)
        scale = ((groups.amax(-1) - low).clamp_min(1e-10) / (most - least)).bfloat16().float()
        if self.has_minimums:
            middle = 8 if self.bits == 4 else 0
            other = (low + (middle - least) * scale).bfloat16().float()
            codes = torch.round((groups - other[..., None]) / scale[..., None] + middle).clamp(least, most)
            values = (codes - middle) * scale[..., None] + other[..., None]
        else:
            zero = torch.round(least - low / scale).clamp(least, most)
            codes = (torch.round(groups / scale[..., None]) + zero[..., None]).clamp(least, most)
            values, other = (codes - zero[..., None]) * scale[..., None], zero + (128 if self.bits == 4 else 0)
        numbers = torch.stack([scale, other], -1).bfloat16().view(torch.uint8).flatten(1)
        return self.tiles(codes.flatten(1).int() & 2 ** self.bits - 1, numbers), None, values.flatten(1)[:, :c]


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


FORMS = {"bf16": BF16, "fp8": E4M3, "mxfp4": MXFP4(), "nvfp4": NVFP4(), "int4": Integers(4, 4, 128),
         "int4-g32": Integers(5, 4, 32), "e4m3-g128": E4M3Tiles(6, 128), "e4m3-g32": E4M3Tiles(7, 32),
         "int8-g128": Integers(8, 8, 128), "int8-g32": Integers(9, 8, 32, True), "int8-g16": Integers(10, 8, 16, True),
         "int4-g32-minimum": Integers(11, 4, 32, True), "mxfp4-fp8": MXFP4E4M3(), "fp8-row": E4M3Rows}
