// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Numbers of all types as 32-bit floats, and back.
#pragma once
#include "moe_device.h"
#include "warp.cuh"

__device__ __forceinline__ float floatOfBF16(unsigned short bits) { return __uint_as_float((unsigned)bits << 16); }

/// Without NaN: loading refuses scales that are none.
__device__ __forceinline__ float floatOfE4M3(unsigned char bits) {
  // The bits stand where those of a float stand whose exponent is 120 too small; subnormals are right, too.
  float magnitude = __uint_as_float((unsigned)(bits & 0x7f) << 20) * 0x1p120f;
  return bits & 0x80 ? -magnitude : magnitude;
}

__device__ __forceinline__ float floatOfE8M0(unsigned char bits) {
  return __uint_as_float(bits == 0 ? 0x00400000u : (unsigned)bits << 23);
}

/// The number at an index of an array.
__device__ __forceinline__ float number(const void *base, int type, long long index) {
  switch (type) {
    case MOE_F32: return ((const float *)base)[index];
    case MOE_F16: return floatOfHalf(((const unsigned short *)base)[index]);
    case MOE_BF16: return floatOfBF16(((const unsigned short *)base)[index]);
    case MOE_E8M0: return floatOfE8M0(((const unsigned char *)base)[index]);
    case MOE_E4M3: return floatOfE4M3(((const unsigned char *)base)[index]);
    case MOE_U8: return (float)((const unsigned char *)base)[index];
    default: return (float)((const signed char *)base)[index];
  }
}

/// Stores as f32 or bf16.
__device__ __forceinline__ void setNumber(void *base, int type, long long index, float value) {
  if (type == MOE_F32)
    ((float *)base)[index] = value;
  else
    ((unsigned short *)base)[index] = (unsigned short)pairOfBF16(value, 0);
}

/// 8 numbers from an index that is a multiple of 8.
__device__ __forceinline__ void numbers8(const void *base, int type, long long index, float (&values)[8]) {
  if (type == MOE_F32) {
    const float4 *source = (const float4 *)((const float *)base + index);
    const float4 low = source[0], high = source[1];
    values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
    values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
    return;
  }
  const uint4 words = *(const uint4 *)((const unsigned short *)base + index);
  const unsigned word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const unsigned short low = (unsigned short)word[i], high = (unsigned short)(word[i] >> 16);
    values[2 * i] = type == MOE_BF16 ? floatOfBF16(low) : floatOfHalf(low);
    values[2 * i + 1] = type == MOE_BF16 ? floatOfBF16(high) : floatOfHalf(high);
  }
}

/// 8 floats as bf16.
__device__ __forceinline__ uint4 packed8(const float (&values)[8]) {
  uint4 words;
  words.x = pairOfBF16(values[0], values[1]);
  words.y = pairOfBF16(values[2], values[3]);
  words.z = pairOfBF16(values[4], values[5]);
  words.w = pairOfBF16(values[6], values[7]);
  return words;
}
