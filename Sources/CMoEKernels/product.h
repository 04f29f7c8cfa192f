// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_PRODUCT_H
#define MOE_PRODUCT_H

#include "kernels.h"

/// Panels of one form: panel i is the `bytes` bytes at `base` + i · `step`.
typedef struct moe_operand {
  moe_form form;
  /// Of codes.
  const moe_decoder *decoder;
  const uint8_t *base;
  int64_t step, bytes;
} moe_operand;

/// Rows of activations times panels of weights.
typedef struct moe_product {
  const moe_kernels *kernels;

  /// Rows that are ready, or without data only their form: then they are floats at x + (token ? token[r] : r) · x_stride.
  moe_rows rows_at;
  const float *x;
  int64_t x_stride;
  const int32_t *token;
  int64_t rows, inputs;

  /// One operand, or a pair (gate and up) whose panels take turns.
  moe_operand operands[2];
  bool paired;
  int64_t panel_count;

  /// c[r][n], n below panel_count · 32.
  float *c;
  int64_t c_stride;
  /// Room for `moe_product_scratch` bytes, aligned to 64.
  uint8_t *scratch;
  /// The memory that will be read after these panels.
  const uint8_t *next;
} moe_product;

/// The most rows of one product, where each plane counts as one; twice as many of bytes in short segments, which unpack what
/// they multiply.
enum { MOE_PRODUCT_ROWS = 120 };

/// How the rows of a product must be for these forms of its operands. As bytes at most `most_bytes` inputs share a scale: what an
/// activation makes of values has outliers, and takes no more than MOE_BYTES.
moe_row_form moe_product_rows(const moe_kernels *kernels, const moe_form *const *forms, int32_t count,
                              moe_activations precision, int64_t most_bytes);

/// The most rows of one product.
int64_t moe_product_most_rows(moe_row_form rows);

/// Bytes of scratch for products over `inputs` inputs; `coded`: operands may be codes.
int64_t moe_product_scratch(moe_row_form rows, int64_t inputs, bool coded);

/// Every element is summed over the inputs in ascending order, however the rows fall into tiles; of planes each, and then the
/// planes.
void moe_product_run(const moe_product *product);

#endif
