// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes that become bf16 in registers, in tiles of 8 rows × 128 columns as lanes want them.
//
// A tile begins with parts of 512 bytes: one of 128 columns of 4 bits, or two of 64 columns of 8 bits. In a part each row has
// 64 bytes, lane t of 4 16 of them, so that words become pairs of neighbours, in the order of the matrix instructions'
// operands, by shifts and masks:
//   4 bits: word j is for columns 32j to 32j + 31; its nibble i is column 32j + 8i + 2t, nibble i + 4 the column after that;
//   8 bits: words 2j and 2j + 1 are for columns 32j to 32j + 31 of the part's; of word 2j + h bytes 0 and 2 are column
//   32j + 16h + 2t and the one after it, bytes 1 and 3 those 8 further on.
// Behind the codes are the scales of each row:
//   MXFP4      4 bytes, of 32 columns each: the exponent + 127, from 61 to 188;
//   NVFP4      8 bytes, of 16 columns each: the exponent + 9 above 3 bits of mantissa; codes of scale 0 are 0;
//   INT4       a word for each group: the scale in bf16, and above it 128 + the code that stands for 0, in bf16;
//   E4M3       a word for each group: 2⁶⁰ times the scale in bf16, twice.
#pragma once
#include "common.cuh"

namespace codes {

constexpr int bits = WEIGHTS == E4M3_128 || WEIGHTS == E4M3_32 ? 8 : 4;
constexpr int partBytes = 512, parts = bits / 4, rowBytes = partBytes / 8;
/// Bytes of a row's scales.
constexpr int scaleBytes = WEIGHTS == NVFP4 ? 8 : WEIGHTS == INT4_32 || WEIGHTS == E4M3_32 ? 16 : 4;
constexpr int tileBytes = parts * partBytes + 8 * scaleBytes;

/// Whether matrices have a factor of their own, in fp32, besides.
constexpr bool hasFactors = WEIGHTS == NVFP4;
/// What products are too small by: so floats fit bf16 with their own exponent moved as it is.
constexpr float restored = WEIGHTS == INT4_128 || WEIGHTS == INT4_32 ? 1.f : 0x1p60f;

__device__ __forceinline__ u32 multiplyBF16(u32 a, u32 b) {
  u32 d;
  asm("mul.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
  return d;
}
__device__ __forceinline__ u32 subtractBF16(u32 a, u32 b) {
  u32 d;
  asm("sub.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
  return d;
}

/// A lane's codes of a part.
__device__ __forceinline__ Words load(u32 tile, int part) { return loadShared(tile + part * partBytes + lane() * 16); }

/// The scales of a lane's row.
struct Scales {
  u32 w[scaleBytes / 4];
};
__device__ __forceinline__ Scales loadScales(u32 tile) {
  const u32 address = tile + parts * partBytes + (lane() >> 2) * scaleBytes;
  Scales s;
  if constexpr (scaleBytes == 4)
    s.w[0] = loadSharedWord(address);
  else if constexpr (scaleBytes == 8)
    asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];" : "=r"(s.w[0]), "=r"(s.w[1]) : "r"(address));
  else
    *(Words*)&s = loadShared(address);
  if (WEIGHTS == MXFP4) s.w[0] += 0x42424242u;
  return s;
}

/// Byte j of the scales as bf16, twice: what fp4, read as the bits of bf16, has to be multiplied by.
__device__ __forceinline__ u32 factorOfByte(const Scales& s, int j) {
  if constexpr (WEIGHTS == MXFP4) return __byte_perm(s.w[0], 0, j << 4 | j << 12 | 0x404) >> 1 & 0x7f807f80u;
  return __byte_perm(s.w[j >> 2], 0, (j & 3) | (j & 3) << 8 | 0x4040) * 16 + 0x5c005c00u;
}

/// 32 columns from 32j on: pair i has columns 8i + 2t and the one after it. `part` is the one that these columns are in.
__device__ __forceinline__ void widen(const Words& part, const Scales& s, int j, u32 (&pairs)[4]) {
  if constexpr (WEIGHTS == MXFP4 || WEIGHTS == NVFP4) {
    constexpr u32 sign = 0x80008000u, magnitude = 0x01c001c0u;
    const u32 c = part.w[j];
    const u32 low = factorOfByte(s, WEIGHTS == MXFP4 ? j : 2 * j), high = WEIGHTS == MXFP4 ? low : factorOfByte(s, 2 * j + 1);
    pairs[0] = multiplyBF16((c << 12 & sign) | (c << 6 & magnitude), low);
    pairs[1] = multiplyBF16((c << 8 & sign) | (c << 2 & magnitude), low);
    pairs[2] = multiplyBF16((c << 4 & sign) | (c >> 2 & magnitude), high);
    pairs[3] = multiplyBF16((c & sign) | (c >> 6 & magnitude), high);
  } else if constexpr (bits == 4) {
    // A nibble below the exponent of 128 is that much more than 128.
    constexpr u32 mask = 0x000f000fu, base = 0x43004300u;
    const u32 group = s.w[WEIGHTS == INT4_128 ? 0 : j];
    const u32 scale = __byte_perm(group, 0, 0x1010), zero = __byte_perm(group, 0, 0x3232);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      pairs[i] = multiplyBF16(subtractBF16((part.w[j] >> (4 * i) & mask) | base, zero), scale);
  } else {
    constexpr u32 sign = 0x80008000u, magnitude = 0x07f007f0u;
    const u32 scale = s.w[WEIGHTS == E4M3_128 ? 0 : j];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const u32 c = part.w[(j & 1) * 2 + i];
      pairs[2 * i] = multiplyBF16((c << 8 & sign) | (c << 4 & magnitude), scale);
      pairs[2 * i + 1] = multiplyBF16((c & sign) | (c >> 4 & magnitude), scale);
    }
  }
}

}  // namespace codes
