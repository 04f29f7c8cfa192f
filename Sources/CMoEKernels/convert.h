// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_CONVERT_H
#define MOE_CONVERT_H

#include <string.h>

#include "moe_layout.h"

// One number at a time; `p` needs no alignment. Rounding is to nearest, ties to even, and a NaN stays a NaN.

static inline uint32_t moe_float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float moe_bits_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline float moe_f16_to_f32(uint16_t half) {
  uint32_t magnitude = moe_float_bits(moe_bits_float((uint32_t)(half & 0x7fff) << 13) * 0x1p112f);
  uint32_t special = (half & 0x7c00) == 0x7c00 ? 0x7f800000 : 0;
  return moe_bits_float(magnitude | special | (uint32_t)(half & 0x8000) << 16);
}

static inline uint16_t moe_f32_to_f16(float x) {
  uint32_t bits = moe_float_bits(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (size >> 13 & 0x3ff));
  if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
  // Below the smallest normal number the sum with ½ rounds the fraction into the low bits.
  if (size < 0x38800000) return (uint16_t)(sign | (moe_float_bits(moe_bits_float(size) + 0.5f) - 0x3f000000));
  return (uint16_t)(sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
}

static inline uint16_t moe_f32_to_bf16(float x) {
  uint32_t bits = moe_float_bits(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float moe_read_element(moe_element element, const void *p) {
  uint16_t half;
  float single;
  switch (element) {
  case MOE_ELEMENT_F32: memcpy(&single, p, sizeof single); return single;
  case MOE_ELEMENT_F16: memcpy(&half, p, sizeof half); return moe_f16_to_f32(half);
  case MOE_ELEMENT_BF16: memcpy(&half, p, sizeof half); return moe_bits_float((uint32_t)half << 16);
  }
}

static inline void moe_write_element(moe_element element, void *p, float x) {
  uint16_t half;
  switch (element) {
  case MOE_ELEMENT_F32: memcpy(p, &x, sizeof x); return;
  case MOE_ELEMENT_F16: half = moe_f32_to_f16(x); break;
  case MOE_ELEMENT_BF16: half = moe_f32_to_bf16(x); break;
  }
  memcpy(p, &half, sizeof half);
}

#endif
