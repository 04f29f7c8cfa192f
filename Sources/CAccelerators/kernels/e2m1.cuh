// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes of MXFP4_E4M3 as e4m3, in registers: the three bits of a magnitude choose one of eight bytes, four at once, and signs
// come by a mask. The eight bytes are those of a group of 32 columns, so that its scale needs no multiplication. A lane's codes are
// of one group, so columns 32t + 8j + i meet as columns 32j + 4t + i (i < 4) and 12 more than that: tokens are stored in this order.
#pragma once
#include "codes.cuh"

namespace codes {

/// What the products of a row's columns are too small by.
__device__ __forceinline__ float rowFactor(const Scales& s) {
  return __uint_as_float((s.w[0] & 0x07800000u) | (s.w[0] << 20 & 0x78000000u));
}

/// What stands for 0, ½, 1, 1½ (`low`) and 2, 3, 4, 6 (`high`) in a lane's group of 32 columns.
struct Magnitudes {
  u32 low, high;

  /// As e4m3: ½ is in the scales, 8 more are a power of two.
  __device__ __forceinline__ static Magnitudes e4m3(const Scales& s) {
    const u32 halves = __byte_perm(s.w[0] & 0x78787878u, 0, (lane() & 3) * 0x1111);
    return {(halves << 8) + 0x0c080000u, halves + 0x1c181410u};
  }

  /// As the upper bytes of fp16, whose lower ones are 0: 2⁻⁸ times that.
  __device__ __forceinline__ static Magnitudes f16(const Scales& s) {
    const u32 halves = __byte_perm(s.w[0] >> 1 & 0x3c3c3c3cu, 0, (lane() & 3) * 0x1111);
    return {(halves << 8) + 0x06040000u, halves + 0x0e0c0a08u};
  }

  /// The four bytes that the four lowest of the nibbles choose, whose highest bits are 0.
  __device__ __forceinline__ u32 choose(u32 nibbles) const {
    u32 d;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(low), "r"(high), "r"(nibbles));
    return d;
  }
};

/// 8 codes of a word, 4 and 4.
__device__ __forceinline__ void choose(u32 codes, const Magnitudes& of, u32& first, u32& second) {
  constexpr u32 signs = 0x80808080u;
  const u32 nibbles = codes & 0x77777777u;
  first = maskOr<signs>(codes, of.choose(nibbles));
  second = maskOr<signs>(codes << 4, of.choose(nibbles >> 16));
}

/// What products of fp16 are too small by, and two neighbours of four upper bytes.
constexpr float restoredF16 = 0x1p8f;
__device__ __forceinline__ u32 f16(u32 bytes, int pair) { return __byte_perm(bytes, 0, pair == 0 ? 0x1404 : 0x3424); }

}  // namespace codes
