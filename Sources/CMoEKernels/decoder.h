// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_DECODER_H
#define MOE_DECODER_H

#include "coded.h"

/// How table[code] may be had.
typedef enum moe_decoder_kind {
  /// By looking.
  MOE_DECODER_TABLE,
  /// As the integer (code ^ flip) - offset.
  MOE_DECODER_INTEGER,
  /// As `moe_small_float` with 3 and with 2 bits of fraction.
  MOE_DECODER_E4M3,
  MOE_DECODER_E5M2,
} moe_decoder_kind;

enum { MOE_DECODER_COUNT = 4 };

/// The table of a projection, and whether its finite entries follow a rule: a vector computes faster than it
/// looks up one of 256.
typedef struct moe_decoder {
  _Alignas(64) int32_t kind;
  int32_t flip, offset;
  /// What the exponent of an fp32 has more than the small float's, in place.
  uint32_t exponent;
  /// [1 << bits], at least 16 and a whole number of cache lines.
  _Alignas(64) float table[];
} moe_decoder;

static inline int64_t moe_table_entries(const moe_form *form) {
  return INT64_C(1) << (form->bits < 4 ? 4 : form->bits);
}

static inline int64_t moe_decoder_bytes(const moe_form *form) {
  return moe_is_coded(form) ? (int64_t)sizeof(moe_decoder) + moe_table_entries(form) * (int64_t)sizeof(float) : 0;
}

/// Fills a decoder.
void moe_decoder_make(moe_decoder *decoder, const moe_form *form, const float *table);

#endif
