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

/// Inputs after which the words of all planes begin anew.
static inline int moe_tile_step(int stored) { return stored % 2 ? 32 : stored % 4 ? 16 : MOE_STEP; }

static inline int64_t moe_group(const moe_form *form) { return form->group ? form->group : MOE_ALL_INPUTS; }

/// A multiple of the group.
static inline int64_t moe_super_group(const moe_form *form) {
  return form->super_group ? form->super_group : MOE_ALL_INPUTS / moe_group(form) * moe_group(form);
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

/// Bytes of the words whose first input is before k.
static inline int64_t moe_words_bytes(const moe_form *form, int64_t k) {
  int stored = moe_stored_bits(form->bits);
  int64_t bytes = 0;
  for (int width = 1; width <= 8; width *= 2)
    if (stored & width) bytes += (k * width + 31) / 32 * MOE_WORDS_BYTES;
  return bytes;
}

/// What holds at input k of a stream.
typedef struct moe_position {
  /// The first inputs of its group and its super-group.
  int64_t group_start, super_start;
  /// Where the factors of its super-group are, the numbers of its group, the words that begin at k, and whatever stands
  /// at k, in bytes from the start.
  int64_t factors, numbers, words, first;
} moe_position;

static inline moe_position moe_position_at(const moe_form *form, int64_t k) {
  int64_t group = moe_group(form), super_group = moe_super_group(form), groups = super_group / group;
  int64_t factor_bytes = moe_super_group_bytes(form), number_bytes = moe_group_bytes(form);
  int64_t g = k / group, h = g / groups, group_start = g * group, super_start = h * super_group;
  moe_position position = {.group_start = group_start, .super_start = super_start};
  position.factors = h * (factor_bytes + groups * number_bytes) + moe_words_bytes(form, super_start);
  position.numbers = (h + 1) * factor_bytes + g * number_bytes + moe_words_bytes(form, group_start);
  position.words = (h + 1) * factor_bytes + (g + 1) * number_bytes + moe_words_bytes(form, k);
  position.first =
      position.words - (k == group_start ? number_bytes : 0) - (k == super_start ? factor_bytes : 0);
  return position;
}

/// Bytes before input k of a panel of any form; k is even in a dense one.
static inline int64_t moe_input_offset(const moe_form *form, int64_t k) {
  return moe_is_coded(form) ? moe_position_at(form, k).first : moe_panel_bytes(form->element, k);
}

#endif
