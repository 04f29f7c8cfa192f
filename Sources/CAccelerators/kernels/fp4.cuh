// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The 4-bit float with groups of 32 and scales that are powers of two (mxfp4), in tiles of 8 rows × 128 columns as a lane
// wants them.
//
// A tile has 64 bytes of codes for each row, then 4 scales for each row. Of a row's codes, lane t of 4 has word t · 4 + j
// for columns 32j to 32j + 31; its nibble i is column 32j + 8i + 2t, and nibble i + 4 the column after that. So words
// become pairs of neighbours, in the order of the matrix instructions' operands, by shifts and masks.
#pragma once
#include "common.cuh"

namespace fp4 {

constexpr int rowBytes = 64, tileBytes = 8 * rowBytes + 8 * 4;

/// What products of these weights are too small by: scales from 2⁻⁶⁶ to 2⁶¹ fit bf16 with fp4's own exponent moved as it is.
constexpr float restored = 0x1p60f;

__device__ __forceinline__ u32 multiplyBF16(u32 a, u32 b) {
  u32 d;
  asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
  return d;
}

/// A row's 4 scales, ready for `factor`.
__device__ __forceinline__ u32 scales(u32 address) { return loadSharedWord(address) + 0x42424242u; }
/// 2^(126 − 60) times scale j, twice.
__device__ __forceinline__ u32 factor(u32 scales, int j) {
  return __byte_perm(scales, 0, j << 4 | j << 12 | 0x404) >> 1 & 0x7f807f80u;
}

/// 8 codes as bf16: pair i has columns 8i + 2t and the one after it.
__device__ __forceinline__ void widen(u32 codes, u32 factor, u32 (&pairs)[4]) {
  constexpr u32 sign = 0x80008000u, magnitude = 0x01c001c0u;
  pairs[0] = multiplyBF16((codes << 12 & sign) | (codes << 6 & magnitude), factor);
  pairs[1] = multiplyBF16((codes << 8 & sign) | (codes << 2 & magnitude), factor);
  pairs[2] = multiplyBF16((codes << 4 & sign) | (codes >> 2 & magnitude), factor);
  pairs[3] = multiplyBF16((codes & sign) | (codes >> 6 & magnitude), factor);
}

}  // namespace fp4
