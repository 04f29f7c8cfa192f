// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_ROW_DECODER_H
#define MOE_ROW_DECODER_H

#include "decoder.h"
#include "moe_stored_rows.h"

/// Columns that are decoded at a time, so that they stay in the nearest cache.
enum { MOE_ROW_PIECE = 2048 };

/// How weights become fp32; the numbers come first.
typedef enum moe_row_kind {
  MOE_ROW_F32,
  MOE_ROW_F16,
  MOE_ROW_BF16,
  /// Nibbles and bytes by looking, and as integers.
  MOE_ROW_TABLE4,
  MOE_ROW_TABLE8,
  MOE_ROW_INTEGER4,
  MOE_ROW_INTEGER8,
  /// Bytes as small floats.
  MOE_ROW_E4M3,
  MOE_ROW_E5M2,
} moe_row_kind;

enum { MOE_ROW_KIND_COUNT = 9 };

/// Rows with their decoder, which numbers have none of.
typedef struct moe_row_decoder {
  const moe_stored_rows *rows;
  const moe_decoder *decoder;
  moe_row_kind kind;
  /// Codes of small floats whose magnitude is at least this one follow no rule.
  uint8_t special;
} moe_row_decoder;

static inline bool moe_row_is_dense(const moe_row_decoder *d) { return d->kind <= MOE_ROW_BF16; }

#endif
