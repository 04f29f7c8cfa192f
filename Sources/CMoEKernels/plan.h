// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_PLAN_H
#define MOE_PLAN_H

#include "product.h"

/// The rows of one chunk of tokens, sorted by expert: what both phases of a forward walk over.
typedef struct moe_plan {
  /// Experts that have rows, ascending, and the rows of each: first_row[i] ..< first_row[i + 1].
  int32_t *active;
  int64_t *first_row;
  int32_t active_count;
  int64_t rows;
  /// Of each row, its place in ids and weights, and its token, both counted from the chunk's first.
  int32_t *slot, *token;
  /// Of each place in ids, its row, or -1.
  int32_t *row;
  /// Scratch of the sort: [experts].
  int64_t *cursor;
} moe_plan;

/// Places a plan for `experts` experts and up to `slots` (token, slot) pairs at `memory` and returns the bytes it
/// takes; `memory` may be null, to measure.
int64_t moe_plan_place(moe_plan *plan, int64_t experts, int64_t slots, uint8_t *memory);

/// Counting sort of ids [tokens, top_k]; within an expert rows keep the order of tokens.
void moe_plan_sort(moe_plan *plan, const int32_t *ids, int64_t experts, int64_t tokens, int32_t top_k);

#endif
