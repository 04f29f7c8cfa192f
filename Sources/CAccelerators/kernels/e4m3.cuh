// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The 8-bit float with 3 bits of mantissa.
#pragma once
#include "activation.cuh"

/// Two floats as e4m3, to nearest, ties to even, saturating: `low` in the low byte.
__device__ __forceinline__ u32 packE4M3(float low, float high) {
  u16 packed;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(packed) : "f"(high), "f"(low));
  return packed;
}

/// Two codes as fp16.
__device__ __forceinline__ u32 unpackE4M3(u32 codes) {
  u32 values;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(values) : "h"((u16)codes));
  return values;
}

/// The greatest magnitude of the lower halves' bf16, and of the upper ones'.
__device__ __forceinline__ u32 greatestBits(const Words& values) {
  u32 bits = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) bits = greaterHalves(bits, values.w[i] & 0x7fff7fffu);
  return bits;
}

/// The greatest magnitude of 128 bf16 that 16 neighbouring lanes hold, 8 each; never 0.
__device__ __forceinline__ float greatestOfBlock(const Words& values) {
  u32 bits = greatestBits(values);
#pragma unroll
  for (int step = 1; step < 16; step *= 2) bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, step));
  return fmaxf(fmaxf(lowBF16(bits), highBF16(bits)), 1e-10f);
}

/// Where rows have one scale each, their greatest magnitude counts as this at least: a scale is 1 / (448 · 512) at least.
constexpr float leastGreatestOfRow = 1 / 512.f;

/// Two bf16 times `inverse` as e4m3.
__device__ __forceinline__ u32 quantizeE4M3(u32 values, float inverse) {
  return packE4M3(lowBF16(values) * inverse, highBF16(values) * inverse);
}
/// 8 of them.
__device__ __forceinline__ u64 quantizeE4M3(const Words& values, float inverse) {
  u64 codes = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) codes |= (u64)quantizeE4M3(values.w[i], inverse) << (i * 16);
  return codes;
}
/// The same as fp16.
__device__ __forceinline__ Words roundedE4M3(const Words& values, float inverse) {
  Words rounded;
#pragma unroll
  for (int i = 0; i < 4; ++i) rounded.w[i] = unpackE4M3(quantizeE4M3(values.w[i], inverse));
  return rounded;
}
