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

/// A sign in bit 7, an exponent, `fraction_bits` bits of fraction; `exponent` turns its exponent into an fp32's. No
/// code stands for NaN or infinity.
static inline float moe_small_float(int32_t code, int32_t fraction_bits, uint32_t exponent) {
  uint32_t size = (uint32_t)code & 0x7f, first_normal = exponent + (1u << 23);
  uint32_t bits = size << (23 - fraction_bits);
  // Below the smallest normal number its implicit one is taken away again.
  float magnitude = size >> fraction_bits ? moe_bits_float(bits + exponent)
                                          : moe_bits_float(bits + first_normal) - moe_bits_float(first_normal);
  return moe_bits_float(moe_float_bits(magnitude) | ((uint32_t)code & 0x80) << 24);
}

static inline float moe_e4m3fn_to_f32(uint8_t code) {
  return (code & 0x7f) == 0x7f ? moe_bits_float(0x7fc00000) : moe_small_float(code, 3, (127 - 7) << 23);
}

static inline float moe_e8m0_to_f32(uint8_t code) {
  return moe_bits_float(code == 0xff ? 0x7fc00000 : code == 0 ? 0x00400000 : (uint32_t)code << 23);
}

static inline float moe_read_number(moe_number number, const void *p) {
  uint8_t byte = *(const uint8_t *)p;
  switch (number) {
  case MOE_NUMBER_F32: return moe_read_element(MOE_ELEMENT_F32, p);
  case MOE_NUMBER_F16: return moe_read_element(MOE_ELEMENT_F16, p);
  case MOE_NUMBER_BF16: return moe_read_element(MOE_ELEMENT_BF16, p);
  case MOE_NUMBER_E8M0: return moe_e8m0_to_f32(byte);
  case MOE_NUMBER_E4M3FN: return moe_e4m3fn_to_f32(byte);
  case MOE_NUMBER_U8: return byte;
  case MOE_NUMBER_I8: return (int8_t)byte;
  }
}

/// Writes a number that the type has, and anything for one that it has not: false then.
static inline bool moe_write_number(moe_number number, void *p, float x) {
  uint32_t bits = moe_float_bits(x);
  switch (number) {
  case MOE_NUMBER_F32: moe_write_element(MOE_ELEMENT_F32, p, x); break;
  case MOE_NUMBER_F16: moe_write_element(MOE_ELEMENT_F16, p, x); break;
  case MOE_NUMBER_BF16: moe_write_element(MOE_ELEMENT_BF16, p, x); break;
  case MOE_NUMBER_E8M0: *(uint8_t *)p = (uint8_t)(bits >> 23); break;
  case MOE_NUMBER_E4M3FN:
    // Its own exponent and fraction in place, through a power of two that may make a subnormal.
    *(uint8_t *)p = (uint8_t)((moe_float_bits(x * 0x1p-120f) >> 20 & 0x7f) | (bits >> 24 & 0x80));
    break;
  case MOE_NUMBER_U8: *(uint8_t *)p = x >= 0 && x <= 255 ? (uint8_t)x : 0; break;
  case MOE_NUMBER_I8: *(int8_t *)p = x >= -128 && x <= 127 ? (int8_t)x : 0; break;
  }
  return moe_read_number(number, p) == x;
}

#endif
