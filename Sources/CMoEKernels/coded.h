// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_CODED_H
#define MOE_CODED_H

#include "panel.h"

// Where things stand in the stream of a panel of codes (moe_layout.h). Inputs `k` are multiples of 8.

/// Inputs beyond any, for what all inputs share.
#define MOE_ALL_INPUTS (INT64_C(1) << 40)

/// Inputs of one step of a stream.
enum { MOE_STEP = 8 };

/// Bytes of the words [32] of a plane.
enum { MOE_WORDS_BYTES = MOE_PANEL * 4 };

static inline bool moe_is_coded(const moe_form *form) { return form->bits != 0; }

/// Bits that a code takes. Read as a set, the widths of its planes: 6 = 4 + 2, 5 = 4 + 1, 3 = 2 + 1.
static inline int moe_stored_bits(int bits) { return bits == 1 ? 2 : bits == 7 ? 8 : bits; }

static inline int64_t moe_group(const moe_form *form) { return form->group ? form->group : MOE_ALL_INPUTS; }

static inline int64_t moe_super_group(const moe_form *form) {
  return form->super_group ? form->super_group : MOE_ALL_INPUTS;
}

static inline int64_t moe_number_bytes(moe_number number) {
  static const int8_t bytes[MOE_NUMBER_COUNT] = {4, 2, 2, 1, 1, 1, 1};
  return bytes[number];
}

/// Bytes of the numbers of a group, and of a super-group, of 32 outputs.
static inline int64_t moe_group_bytes(const moe_form *form) {
  int64_t correction = form->correction == MOE_CORRECTION_NONE ? 0 : moe_number_bytes(form->correction_number);
  return MOE_PANEL * (moe_number_bytes(form->scale) + correction);
}

static inline int64_t moe_super_group_bytes(const moe_form *form) {
  int64_t factors = form->super_group == 0 ? 0 : form->correction == MOE_CORRECTION_MINIMUM ? 2 : 1;
  return MOE_PANEL * factors * moe_number_bytes(form->factor);
}

/// Bytes of the stream before what stands at input k.
static inline int64_t moe_stream_offset(const moe_form *form, int64_t k) {
  int64_t bytes = moe_ceil_div(k, moe_super_group(form)) * moe_super_group_bytes(form) +
                  moe_ceil_div(k, moe_group(form)) * moe_group_bytes(form);
  int stored = moe_stored_bits(form->bits);
  for (int width = 1; width <= 8; width *= 2)
    if (stored & width) bytes += moe_ceil_div(k * width, 32) * MOE_WORDS_BYTES;
  return bytes;
}

/// Bytes of the stream before the numbers of the group, where one begins at k, and before the codes from k on.
static inline int64_t moe_numbers_offset(const moe_form *form, int64_t k) {
  return moe_stream_offset(form, k) + (k % moe_super_group(form) == 0 ? moe_super_group_bytes(form) : 0);
}

static inline int64_t moe_codes_offset(const moe_form *form, int64_t k) {
  return moe_numbers_offset(form, k) + (k % moe_group(form) == 0 ? moe_group_bytes(form) : 0);
}

/// Bytes before input k of a panel of any form; k is even in a dense one.
static inline int64_t moe_input_offset(const moe_form *form, int64_t k) {
  return moe_is_coded(form) ? moe_stream_offset(form, k) : moe_panel_bytes(form->element, k);
}

#endif
