// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "decoder.h"

#include <math.h>

#include "convert.h"

static float computed(const moe_decoder *d, int32_t code) {
  if (d->kind == MOE_DECODER_INTEGER) return (float)((code ^ d->flip) - d->offset);
  return moe_small_float(code, d->kind == MOE_DECODER_E4M3 ? 3 : 2, d->exponent);
}

/// Codes that are no finite number are never packed, and follow any rule.
static bool follows(const moe_decoder *d, int32_t codes, const float *table) {
  for (int32_t code = 0; code < codes; code++)
    if (isfinite(table[code]) && moe_float_bits(computed(d, code)) != moe_float_bits(table[code])) return false;
  return true;
}

static bool are_halves(int32_t codes, const float *table) {
  for (int32_t code = 0; code < codes; code++)
    if (isfinite(table[code]) && (moe_float_bits(table[code]) & 0xffff) != 0) return false;
  return true;
}

static void fill_halves(moe_decoder *d, int32_t codes, const float *table) {
  for (int32_t i = 0; i < 64; i++) d->halves[i] = moe_f32_to_bf16(table[i % codes]);
  if (d->kind != MOE_DECODER_E4M3 && d->kind != MOE_DECODER_E5M2) return;
  for (int32_t code = 0; code < 128; code++) {
    uint16_t half = moe_f32_to_bf16(computed(d, code));
    d->upper[code] = (uint8_t)(half >> 8);
    d->lower[code] = (uint8_t)half;
  }
}

/// The greatest power of two of which all finite entries are multiples.
static float unit(int32_t codes, const float *table) {
  int least = 128;
  for (int32_t code = 0; code < codes; code++) {
    if (!isfinite(table[code]) || table[code] == 0) continue;
    int exponent;
    float fraction = frexpf(table[code], &exponent);
    while (fraction != (float)(int32_t)fraction) {
      fraction *= 2;
      exponent--;
    }
    least = exponent < least ? exponent : least;
  }
  return ldexpf(1, least == 128 ? 0 : least);
}

/// False where there are no bytes.
static bool fill_bytes(moe_decoder *d, int32_t codes, const float *table) {
  if (d->kind == MOE_DECODER_INTEGER) {
    d->unit = 1;
    d->byte_offset = d->offset;
    return true;
  }
  if (codes > 16) return false;
  d->unit = unit(codes, table);
  d->byte_offset = 128;
  for (int32_t i = 0; i < 16; i++) {
    float entry = isfinite(table[i % codes]) ? table[i % codes] / d->unit + 128 : 0;
    if (!(entry >= 0 && entry <= 255)) return false;
    d->bytes[i] = (uint8_t)entry;
  }
  return true;
}

bool moe_decoder_make(moe_decoder *decoder, const moe_form *form, const float *table) {
  int32_t codes = 1 << form->bits, half = codes / 2;
  bool counts = table[0] >= -codes && table[0] <= codes;
  const moe_decoder rules[] = {
      {.kind = MOE_DECODER_INTEGER, .offset = counts ? -(int32_t)table[0] : 0},
      {.kind = MOE_DECODER_INTEGER, .flip = half, .offset = half},
      {.kind = MOE_DECODER_E4M3, .exponent = (127 - 7) << 23},
      {.kind = MOE_DECODER_E4M3, .exponent = (127 - 8) << 23},
      {.kind = MOE_DECODER_E5M2, .exponent = (127 - 15) << 23},
      {.kind = MOE_DECODER_E5M2, .exponent = (127 - 16) << 23},
  };
  memset(decoder, 0, (size_t)moe_decoder_bytes(form));
  size_t candidates = form->bits < 8 ? 2 : sizeof rules / sizeof *rules;  // the small floats have their sign in bit 7
  bool is_exact = are_halves(codes, table);
  if (form->bits <= 6 && is_exact) decoder->kind = MOE_DECODER_HALVES;
  for (size_t i = 0; i < candidates; i++) {
    if (!follows(&rules[i], codes, table)) continue;
    *decoder = rules[i];
    break;
  }
  decoder->is_exact = is_exact;
  memcpy(decoder->table, table, (size_t)codes * sizeof *table);
  fill_halves(decoder, codes, table);
  return (fill_bytes(decoder, codes, table) || !form->integral) && (is_exact || !form->halves);
}
