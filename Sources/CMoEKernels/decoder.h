// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_DECODER_H
#define MOE_DECODER_H

#include "coded.h"

/// How table[code] may be had.
typedef enum moe_decoder_kind {
  /// By looking.
  MOE_DECODER_TABLE,
  /// By looking, where every entry is a bf16 and codes have 6 bits at most.
  MOE_DECODER_HALVES,
  /// As the integer (code ^ flip) - offset.
  MOE_DECODER_INTEGER,
  /// As `moe_small_float` with 3 and with 2 bits of fraction.
  MOE_DECODER_E4M3,
  MOE_DECODER_E5M2,
} moe_decoder_kind;

enum { MOE_DECODER_COUNT = 5 };

/// The table of a projection, in all ways in which kernels read it.
typedef struct moe_decoder {
  _Alignas(64) int32_t kind;
  int32_t flip, offset;
  /// What the exponent of an fp32 has more than the small float's, in place.
  uint32_t exponent;
  /// Every entry is a bf16.
  int32_t is_exact;
  /// As unsigned bytes, where the form is integral: entry = (byte − byte_offset) · unit. Integers are their codes, flipped; others
  /// are looked up, and have 4 bits at most.
  float unit;
  int32_t byte_offset;
  uint8_t bytes[16];
  /// Entries as bf16, again and again where there are fewer, so that bits above a code may be any.
  _Alignas(64) uint16_t halves[64];
  /// Of small floats: the upper and the lower byte of the bf16 of codes 0 … 127.
  _Alignas(64) uint8_t upper[128], lower[128];
  /// [1 << bits], at least 16 and a whole number of cache lines.
  _Alignas(64) float table[];
} moe_decoder;

static inline int64_t moe_table_entries(const moe_form *form) {
  return INT64_C(1) << (form->bits < 4 ? 4 : form->bits);
}

static inline int64_t moe_decoder_bytes(const moe_form *form) {
  return moe_is_coded(form) ? (int64_t)sizeof(moe_decoder) + moe_table_entries(form) * (int64_t)sizeof(float) : 0;
}

/// Fills a decoder. False for a form that says of its table what is not so: see `moe_form`.
bool moe_decoder_make(moe_decoder *decoder, const moe_form *form, const float *table);

#endif
