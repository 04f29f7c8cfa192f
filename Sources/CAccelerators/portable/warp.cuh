// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Instructions that C++ has no words for: of warps, of matrices, of 16-bit numbers.
#pragma once

constexpr unsigned allLanes = 0xffffffffu;

__device__ __forceinline__ float floatOfHalf(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

/// Two floats as bf16, rounded to nearest, ties to even: `low` in the low half.
__device__ __forceinline__ unsigned pairOfBF16(float low, float high) {
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

/// Four 8 × 8 matrices of 16-bit numbers; every lane points at a row.
__device__ __forceinline__ void loadMatrices(unsigned (&m)[4], const unsigned short *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"((unsigned)__cvta_generic_to_shared(row)));
}

/// Two of them; lanes 0 to 15 count.
__device__ __forceinline__ void loadMatrices(unsigned (&m)[2], const unsigned short *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(m[0]), "=r"(m[1])
               : "r"((unsigned)__cvta_generic_to_shared(row)));
}

/// d [16, 8] += a [16, 16] · b [16, 8], of bf16.
__device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The sum, or the greatest, over a warp, in every lane. The order is always the same.
__device__ __forceinline__ float warpSum(float value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(allLanes, value, distance);
  return value;
}

__device__ __forceinline__ float warpGreatest(float value) {
  for (int distance = 16; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(allLanes, value, distance));
  return value;
}
