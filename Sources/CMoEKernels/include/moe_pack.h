// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_PACK_H
#define MOE_PACK_H

#include "moe_layout.h"

#pragma clang assume_nonnull begin

/// Outputs of a matrix in memory, from the first one packed on: element (n, k) is at base + n · row_stride + k · column_stride.
///
/// Strides count elements, may be negative, and `base` needs no alignment, so a transposed tensor, a half of a fused
/// one and one of two interleaved ones pack without a copy. A bias is a matrix of one column.
typedef struct moe_source {
  const void *base;
  moe_element element;
  int64_t row_stride, column_stride;
} moe_source;

/// Outputs `first` ..< `first` + `count` of a projection; `first` is a multiple of MOE_PANEL_OUTPUTS, and so is `count`
/// unless the last output is among them. Nothing is packed of no outputs.
typedef struct moe_outputs {
  int64_t first, count;
} moe_outputs;

enum { MOE_PANEL_OUTPUTS = 32 };

/// Packs outputs of one projection, of a dense form, into an expert's region. Together all outputs write each byte of the
/// projection, padding included. Another element type than the form's is rounded to nearest, ties to even. Outputs,
/// projections and experts may be packed by several threads at once.
void moe_pack_projection(const moe_expert_layout *layout, moe_projection projection, moe_outputs outputs,
                         moe_source source, void *region);

/// A number of output n and group (or super-group) g: base[n · row_stride + g · group_stride]. A stride of 0 repeats.
typedef struct moe_group_source {
  const float *_Nullable base;
  int64_t row_stride, group_stride;
} moe_group_source;

/// Outputs of a coded matrix in memory, from the first one packed on, as `moe_form` says what it means. Parts that a form has not are not looked at.
typedef struct moe_coded_source {
  /// One byte each: code (n, k) is at codes[n · row_stride + k · column_stride].
  const uint8_t *codes;
  int64_t row_stride, column_stride;
  /// [1 << bits]
  const float *table;
  moe_group_source scales;
  /// Zeros or minimums.
  moe_group_source corrections;
  moe_group_source factors, minimum_factors;
} moe_coded_source;

typedef enum MOE_CLOSED_ENUM moe_pack_status {
  MOE_PACK_OK MOE_SWIFT_NAME("ok") = 0,
  /// A scale, correction or factor is not exactly a number of the form's type (NaN never is).
  MOE_PACK_NOT_REPRESENTABLE MOE_SWIFT_NAME("notRepresentable") = 1,
  /// A code has more bits than the form, or is no finite number.
  MOE_PACK_BAD_CODE MOE_SWIFT_NAME("badCode") = 2,
  /// No entry of the table is finite, or one is not what the form says of all: a whole multiple, a bf16.
  MOE_PACK_BAD_TABLE MOE_SWIFT_NAME("badTable") = 3,
} moe_pack_status;

/// Packs outputs of one projection of a coded form, as `moe_pack_projection` does of a dense one; the table goes with the
/// first output, and must be the same for all. Unless the status is ok, what the outputs' part of the region holds is of
/// no meaning.
moe_pack_status moe_pack_coded(const moe_expert_layout *layout, moe_projection projection, moe_outputs outputs,
                               const moe_coded_source *source, void *region);

/// Packs outputs of one bias, or zeros; the layout has biases.
void moe_pack_bias(const moe_expert_layout *layout, moe_projection projection, moe_outputs outputs,
                   const moe_source *_Nullable source, void *region);

/// Reads one projection back, of any form: element (n, k) to destination[n · row_stride + k · column_stride].
void moe_unpack_projection(const moe_expert_layout *layout, moe_projection projection, const void *region,
                           float *destination, int64_t row_stride, int64_t column_stride);

/// The bias of one projection inside a region; the layout has biases.
const float *moe_bias(const moe_expert_layout *layout, moe_projection projection, const void *region);

/// Packs a linear layer; `bias` only where the layout has one (null: zeros).
void moe_pack_linear(const moe_linear_layout *layout, moe_source weight, const moe_source *_Nullable bias,
                     void *region);

#pragma clang assume_nonnull end

#endif
