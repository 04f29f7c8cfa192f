// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes that become bf16 in registers, in tiles of 8 rows × 128 columns as lanes want them.
//
// A tile begins with parts of 512 bytes: one of 128 columns of 4 bits, or two of 64 columns of 8 bits. In a part each row has
// 64 bytes, lane t of 4 16 of them, so that words become pairs of neighbours, in the order of the matrix instructions'
// operands, by rotations and masks:
//   4 bits: word j is for columns 32j to 32j + 31; its pair i is column 32j + 8i + 2t and the one after it;
//   8 bits: words 2j and 2j + 1 are for columns 32j to 32j + 31 of the part's; of word 2j + h pair i is column
//   32j + 16h + 8i + 2t and the one after it.
// A pair stands in two halves of 16 bits: a float with its sign on top and its own exponent and mantissa where those of bf16
// meet, an integer at the bottom. A word is the union of its pairs, masked and rotated to the right, so that most come back
// by one rotation and one mask:
//   e2m1       81c0 by 0, 81c0 by 4, 81c0 by 10, 80c0 by 6 with 0100 by 30 (masks of a half);
//   integers   of 4 bits 000f by 0, 28, 24 and 20, of 8 bits 00ff by 0 and 24;
//   e4m3       8000 by 8 with 07f0 by 4, 8000 by 0 with 07f0 by 28.
// Behind the codes are the scales of each row:
//   MXFP4      4 bytes, of 32 columns each: the exponent + 193, from 127 to 254, rotated to the right by 1 bit;
//   NVFP4      8 bytes, of 16 columns each: the exponent + 9, below it 3 bits of mantissa, the two halves of this byte
//              exchanged; codes of scale 0 are 0;
//   INT4       a word for each group: the scale in bf16, and above it 128 + the code that stands for 0, in bf16;
//   INT8       the same of signed codes, without 128; with groups of 32 and 16 the upper half is added to the product of code
//              and scale, and INT4_32_MINIMUM to that of the code less 8;
//   E4M3       a word for each group: 2⁶⁰ times the scale in bf16, twice.
// MXFP4_E4M3 becomes e4m3 (`e2m1.cuh`), whose order is another. Lane t has the group of 32 columns from 32t on: code i of word j is
// column 32t + 8j + i, its magnitude at bit 4i, the sign of i < 4 at bit 8i + 7, that of 4 + i at 8i + 3. A row's scales are a
// word: in byte t the e4m3 code of ½ times the group's scale, over the power of two with which that is 2⁵ for the greatest of 256 columns,
// two tiles; and this power of two as the exponent of a float, its lower half at bit 23, its upper at 7.
#pragma once
#include "common.cuh"

namespace codes {

constexpr bool areFP4 = WEIGHTS == MXFP4 || WEIGHTS == NVFP4;
constexpr bool areE4M3 = WEIGHTS == E4M3_128 || WEIGHTS == E4M3_32;
constexpr bool areIntegers = TILED && !areFP4 && !areE4M3 && WEIGHTS != MXFP4_E4M3;
/// Whether a number is added to products of code and scale, not taken from codes.
constexpr bool haveMinimums = WEIGHTS == INT8_32 || WEIGHTS == INT8_16 || WEIGHTS == INT4_32_MINIMUM;
constexpr int bits = areE4M3 || WEIGHTS >= INT8_128 && WEIGHTS <= INT8_16 ? 8 : 4;
/// Columns that share a scale, or a word of scales.
constexpr int group = WEIGHTS == NVFP4 || WEIGHTS == INT8_16 ? 16
  : WEIGHTS == INT4_128 || WEIGHTS == E4M3_128 || WEIGHTS == INT8_128 || WEIGHTS == MXFP4_E4M3 ? 128 : 32;
constexpr int partBytes = 512, parts = bits / 4, rowBytes = partBytes / 8;
/// Bytes of a row's scales.
constexpr int scaleBytes = 128 / group * (areFP4 ? 1 : 4);
constexpr int tileBytes = parts * partBytes + 8 * scaleBytes;

/// Whether matrices have a factor of their own, in fp32, besides.
constexpr bool hasFactors = WEIGHTS == NVFP4;
/// What products are too small by: so floats fit bf16 with their own exponent moved as it is.
constexpr float restored = areIntegers || WEIGHTS == MXFP4_E4M3 ? 1.f : WEIGHTS == NVFP4 ? 0x1p52f : 0x1p60f;

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
__device__ __forceinline__ u32 multiplyAddBF16(u32 a, u32 b, u32 c) {
  u32 d;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
/// The low or the high half, twice: no instruction where an operation of halves takes it.
__device__ __forceinline__ u32 twice(u32 x, bool high) {
  u32 d;
  if (high)
    asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {h, h};}" : "=r"(d) : "r"(x));
  else
    asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {l, l};}" : "=r"(d) : "r"(x));
  return d;
}
/// x & mask | base
template <u32 mask> __device__ __forceinline__ u32 maskOr(u32 x, u32 base) {
  u32 d;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(d) : "r"(x), "n"(mask), "r"(base));
  return d;
}

/// Where a lane finds its codes and its row's scales of a tile in shared memory.
struct Place {
  u32 codes, scales;
  __device__ __forceinline__ Place(u32 tile)
      : codes(kept(tile + lane() * 16)), scales(kept(tile + parts * partBytes + (lane() >> 2) * scaleBytes)) {}
  /// The same of a tile so many bytes further on.
  __device__ __forceinline__ Place after(u32 bytes) const { return {codes + bytes, scales + bytes}; }

 private:
  __device__ __forceinline__ Place(u32 codes, u32 scales) : codes(codes), scales(scales) {}
};

/// A lane's codes of a part.
__device__ __forceinline__ Words load(const Place& place, int part) { return loadShared(place.codes + part * partBytes); }

/// The scales of a lane's row: of fp4 two to a word in bf16, else as they lie.
struct Scales {
  u32 w[areFP4 ? scaleBytes / 2 : scaleBytes / 4];
};
__device__ __forceinline__ Scales loadScales(const Place& place) {
  const u32 address = place.scales;
  u32 w[scaleBytes / 4];
  if constexpr (scaleBytes == 4)
    w[0] = loadSharedWord(address);
  else if constexpr (scaleBytes == 8)
    asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];" : "=r"(w[0]), "=r"(w[1]) : "r"(address));
  else
#pragma unroll
    for (int i = 0; i < scaleBytes / 16; ++i) ((Words*)w)[i] = loadShared(address + 16 * i);
  Scales s;
#pragma unroll
  for (int i = 0; i < scaleBytes / 4; ++i) {
    if constexpr (areFP4) {
      // A byte has the upper byte's bits below, but for bits that are the same in all, and the lower byte's above.
      constexpr u32 upper = WEIGHTS == MXFP4 ? 0x7f7f7f7fu : 0x0f0f0f0fu, same = WEIGHTS == MXFP4 ? 0 : 0x60606060u;
      const u32 high = maskOr<upper>(w[i], same), low = w[i] & ~upper;
      s.w[2 * i] = __byte_perm(low, high, 0x5140);
      s.w[2 * i + 1] = __byte_perm(low, high, 0x7362);
    } else {
      s.w[i] = w[i];
    }
  }
  return s;
}

/// 128, twice: what stands below its exponent is that much more. And 136, of codes of 4 bits the middle then.
constexpr u32 twice128 = 0x43004300u, twice136 = 0x43084308u;

/// Integers' codes of 4 bits of 32 columns from 32j on, and 128.
__device__ __forceinline__ void moreThan128(const Words& part, int j, u32 (&pairs)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = maskOr<0x000f000fu>(part.w[j] >> (4 * i), twice128);
}
/// Signed codes of 8 bits: 7 bits more than 128, less 128 or, where the sign is set, 256.
__device__ __forceinline__ u32 signedBytes(u32 x) {
  return subtractBF16(maskOr<0x007f007fu>(x, twice128), maskOr<0x00800080u>(x, twice128));
}
/// Codes, those of 4 bits 128 more, times their group's scale, with its zero point or its minimum.
__device__ __forceinline__ u32 scaleIntegers(u32 codes, u32 group) {
  const u32 scale = twice(group, false), other = twice(group, true);
  if (!haveMinimums) return multiplyBF16(subtractBF16(codes, other), scale);
  return multiplyAddBF16(bits == 4 ? subtractBF16(codes, twice136) : codes, scale, other);
}

/// 32 columns from 32j on: pair i has columns 8i + 2t and the one after it. `part` is the one that these columns are in.
__device__ __forceinline__ void widen(const Words& part, const Scales& s, int j, u32 (&pairs)[4]) {
  if constexpr (areFP4) {
    constexpr u32 whole = 0x81c081c0u, most = 0x80c080c0u, rest = 0x01000100u;
    const u32 c = part.w[j];
    pairs[0] = c & whole;
    pairs[1] = c << 4 & whole;
    pairs[2] = __funnelshift_l(c, c, 10) & whole;
    pairs[3] = maskOr<most>(c << 6, c >> 2 & rest);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int scale = WEIGHTS == MXFP4 ? j : 2 * j + i / 2;
      pairs[i] = multiplyBF16(pairs[i], twice(s.w[scale / 2], scale % 2));
    }
  } else if constexpr (areIntegers) {
    if constexpr (bits == 4) {
      moreThan128(part, j, pairs);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) pairs[i] = signedBytes(part.w[(j & 1) * 2 + i / 2] >> (i % 2 * 8));
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) pairs[i] = scaleIntegers(pairs[i], s.w[(32 * j + 8 * i) / group]);
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
