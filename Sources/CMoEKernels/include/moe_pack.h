// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_PACK_H
#define MOE_PACK_H

#include "moe_layout.h"

#pragma clang assume_nonnull begin

/// A matrix [outputs, inputs] in memory: element (n, k) is at base + n · row_stride + k · column_stride.
///
/// Strides count elements, may be negative, and `base` needs no alignment, so a transposed tensor, a half of a fused
/// one and one of two interleaved ones pack without a copy. A bias is a matrix of one column.
typedef struct moe_source {
  const void *base;
  moe_element element;
  int64_t row_stride, column_stride;
} moe_source;

/// Packs one projection into an expert's region, padding included: each byte of it is written. Another element type
/// than the layout's is rounded to nearest, ties to even. Projections and experts may be packed by several threads at
/// once.
void moe_pack_projection(const moe_expert_layout *layout, moe_projection projection, moe_source source, void *region);

/// Packs one bias, or zeros; the layout has biases.
void moe_pack_bias(const moe_expert_layout *layout, moe_projection projection, const moe_source *_Nullable source,
                   void *region);

/// Reads one projection back: element (n, k) to destination[n · row_stride + k · column_stride].
void moe_unpack_projection(const moe_expert_layout *layout, moe_projection projection, const void *region,
                           float *destination, int64_t row_stride, int64_t column_stride);

/// The bias of one projection inside a region; the layout has biases.
const float *moe_bias(const moe_expert_layout *layout, moe_projection projection, const void *region);

/// Packs a linear layer; `bias` only where the layout has one (null: zeros).
void moe_pack_linear(const moe_linear_layout *layout, moe_source weight, const moe_source *_Nullable bias,
                     void *region);

#pragma clang assume_nonnull end

#endif
