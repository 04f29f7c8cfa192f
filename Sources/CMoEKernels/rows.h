// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_ROWS_H
#define MOE_ROWS_H

#include "coded.h"
#include "moe_forward.h"

/// Inputs that share a scale of bytes, at most: a unit that multiplies matrices takes more, two steps.
enum { MOE_BYTES = 64, MOE_BYTES_OF_TILES = 128 };

/// Inputs of a block: many rows go over a panel in pieces of at most this many inputs, so that the piece and the rows'
/// part of it stay in the near caches, and loads and stores of sums are rare.
enum { MOE_BLOCK = 512 };

/// How rows are kept, and with that what multiplies them. Four bytes of a row are one step of a tile in each: one float,
/// a pair of bf16, four signed bytes; of split floats twice four.
typedef enum moe_dot {
  /// fp32 multiply-add.
  MOE_DOT_F32,
  /// bf16 pairs into fp32.
  MOE_DOT_BF16,
  /// The same with rows of floats, each of them two bf16: the nearest, and what that leaves. 64 bytes of the first ones of 32
  /// inputs, 64 of the others. The products of both go into one sum.
  MOE_DOT_SPLIT,
  /// Signed bytes times unsigned ones into 32-bit integers.
  MOE_DOT_I8,
} moe_dot;

enum { MOE_DOT_COUNT = 4 };

/// What the rows of one product are like.
typedef struct moe_row_form {
  moe_dot dot;
  /// What the values are rounded to.
  moe_activations precision;
  /// Inputs that share a sum, and a scale where the values are bytes: a power of two up to MOE_BLOCK.
  int64_t segment;
  /// Rows of bytes that stand for one row: the bytes of its values, then what they leave, finer by MOE_PLANE, and so on. One
  /// where there are no bytes.
  int32_t planes;
  /// Weights have zeros or minimums, which take the sum of a segment.
  bool has_sums;
} moe_row_form;

/// Three planes hold what a float does: 7 bits, then 8 and 8 of what is left.
enum { MOE_PLANES_OF_FLOATS = 3, MOE_PLANE = 254 };

/// Numbers of rows' segments: those of segment s of row r at index s · pitch + r. A row of planes is as many rows here and below.
typedef struct moe_row_numbers {
  /// Of bytes: a value is byte · scale.
  float *scales;
  /// Of the values, and of the bytes.
  float *sums;
  int32_t *byte_sums;
  int64_t pitch;
} moe_row_numbers;

/// Rows of activations in blocks of MOE_BLOCK inputs: block b of row r is at data + (b · pitch + r) · moe_row_stride.
typedef struct moe_rows {
  moe_row_form form;
  int64_t inputs;
  uint8_t *data;
  moe_row_numbers numbers;
} moe_rows;

static inline int64_t moe_dot_bytes(moe_dot dot) {
  static const int8_t bytes[MOE_DOT_COUNT] = {
      [MOE_DOT_F32] = 4, [MOE_DOT_BF16] = 2, [MOE_DOT_SPLIT] = 4, [MOE_DOT_I8] = 1};
  return bytes[dot];
}

/// Inputs of split floats side by side, and the bytes from the first halves to the others.
enum { MOE_SPLIT = 32, MOE_SPLIT_BYTES = 64 };

/// Bytes before input k of a block of a row.
static inline int64_t moe_dot_offset(moe_dot dot, int64_t k) {
  return dot == MOE_DOT_SPLIT ? k * 2 + k / MOE_SPLIT * MOE_SPLIT_BYTES : k * moe_dot_bytes(dot);
}

/// Bytes between the rows of a block; the 64 beyond the block keep rows out of each other's cache sets.
static inline int64_t moe_row_stride(moe_dot dot) { return MOE_BLOCK * moe_dot_bytes(dot) + 64; }

static inline int64_t moe_blocks(int64_t inputs) { return moe_ceil_div(inputs, MOE_BLOCK); }

/// Rows need more than their values in fp32.
static inline bool moe_has_numbers(const moe_row_form *form) { return form->has_sums || form->dot == MOE_DOT_I8; }

/// Rows are not what they are made of.
static inline bool moe_are_prepared(const moe_row_form *form) {
  return form->precision != MOE_ACTIVATIONS_F32 || form->dot != MOE_DOT_F32;
}

/// Places `count` rows at `memory` (null: to measure) and returns the bytes they take, a multiple of 64.
static inline int64_t moe_rows_place(moe_rows *rows, moe_row_form form, int64_t inputs, int64_t count,
                                     uint8_t *memory) {
  int64_t pitch = count * form.planes;
  int64_t blocks = moe_blocks(inputs), data = blocks * pitch * moe_row_stride(form.dot);
  int64_t numbers = moe_round_up(blocks * (MOE_BLOCK / form.segment) * pitch * (int64_t)sizeof(float), 64);
  *rows = (moe_rows){.form = form, .inputs = inputs, .numbers = {.pitch = pitch}};
  if (memory) {
    rows->data = memory;
    rows->numbers.scales = (float *)(memory + data);
    rows->numbers.sums = (float *)(memory + data + numbers);
    rows->numbers.byte_sums = (int32_t *)(memory + data + 2 * numbers);
  }
  return data + (moe_has_numbers(&form) ? 3 * numbers : 0);
}

static inline int64_t moe_rows_bytes(moe_row_form form, int64_t inputs, int64_t count) {
  moe_rows rows;
  return moe_rows_place(&rows, form, inputs, count, NULL);
}

/// The same numbers from an index on.
static inline moe_row_numbers moe_row_numbers_from(moe_row_numbers numbers, int64_t index) {
  return (moe_row_numbers){numbers.scales + index, numbers.sums + index, numbers.byte_sums + index, numbers.pitch};
}

/// The same rows without the first ones; without data there are none to leave out.
static inline moe_rows moe_rows_from(moe_rows rows, int64_t first) {
  if (!rows.data) return rows;
  rows.data += first * moe_row_stride(rows.form.dot);
  rows.numbers = moe_row_numbers_from(rows.numbers, first);
  return rows;
}

/// Where input k is: of split floats the first of 32.
static inline uint8_t *moe_rows_data(const moe_rows *rows, int64_t k) {
  return rows->data + k / MOE_BLOCK * rows->numbers.pitch * moe_row_stride(rows->form.dot) +
         moe_dot_offset(rows->form.dot, k % MOE_BLOCK);
}

/// Index of the numbers of the segment that begins at input k.
static inline int64_t moe_rows_segment(const moe_rows *rows, int64_t k) {
  return k / rows->form.segment * rows->numbers.pitch;
}

#endif
