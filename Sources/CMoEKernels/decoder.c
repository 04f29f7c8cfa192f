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

void moe_decoder_make(moe_decoder *decoder, const moe_form *form, const float *table) {
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
  for (size_t i = 0; i < candidates; i++) {
    if (!follows(&rules[i], codes, table)) continue;
    *decoder = rules[i];
    break;
  }
  memcpy(decoder->table, table, (size_t)codes * sizeof *table);
}
