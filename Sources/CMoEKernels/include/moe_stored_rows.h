// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_STORED_ROWS_H
#define MOE_STORED_ROWS_H

#include "moe_form.h"

#pragma clang assume_nonnull begin

/// Weights as a checkpoint stores them, row after row: numbers, or codes with scales.
///
/// The value of a code is (table[code] − zero) · scale in fp32, evaluated as it is written.
typedef struct moe_stored_rows {
  /// The first row, and bytes from one to the next.
  const void *base;
  int64_t row_bytes;
  /// 0: numbers of `element`, and no field below counts. 4: nibbles, the low one first. 8: bytes.
  int32_t bits;
  moe_element element;
  /// [1 << bits]
  const float *_Nullable table;
  /// The scale of row r and column k is scales[(first_row + r · row_step) / row_group · row_stride +
  /// k / group · group_stride], and its zero point has the same place; without zero points, 0 is taken away.
  const float *_Nullable scales;
  const float *_Nullable zeros;
  int64_t first_row, row_step, row_group, row_stride;
  /// A multiple of 16, or not less than the columns.
  int64_t group, group_stride;
} moe_stored_rows;

/// Rows of numbers.
moe_stored_rows moe_stored_rows_dense(const void *base, int64_t row_bytes, moe_element element);

/// out[r][columns] = the values of rows 0 ..< rows.
void moe_decode_rows(const moe_kernels *kernels, const moe_stored_rows *source, int64_t rows, int64_t columns, float *out);

/// Sums over all weights of two matrices a and b.
typedef struct moe_row_comparison {
  /// Σ a², Σ b², Σ (a − b)²; NaN or infinite where a weight is, or where fp32 ends.
  double a_squares, b_squares, difference_squares;
  /// The greatest |a − b|, and its row; NaN where a weight is.
  float greatest;
  int64_t greatest_row;
} moe_row_comparison;

/// Adds rows 0 ..< rows to a comparison; `first_row` is what is added to a row's number.
void moe_compare_rows(const moe_kernels *kernels, const moe_stored_rows *a, const moe_stored_rows *b,
                      int64_t first_row, int64_t rows, int64_t columns, moe_row_comparison *sum);

/// Σ of the squares of the error that rounding leaves on average in each weight of rows 0 ..< rows: `variances`[code] ·
/// scale² of codes, nothing of groups whose codes all stand for 0, and a twelfth of the square of the last place of
/// numbers, which need no variances.
double moe_rounding_noise(const moe_stored_rows *source, const float *_Nullable variances, int64_t rows, int64_t columns);

#pragma clang assume_nonnull end

#endif
