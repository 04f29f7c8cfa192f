// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "convert.h"
#include "kernels.h"
#include "moe_pack.h"

/// Inputs that are read back at a time.
enum { STRIP = 64 };

/// Inputs first ..< first + count of a dense panel, as out[k][32].
static void read_dense(moe_element element, const uint8_t *panel, int64_t first, int64_t count, float *out) {
  int64_t size = moe_element_bytes(element), side = element == MOE_ELEMENT_BF16 ? 2 : 1;  // inputs side by side
  for (int64_t k = first; k < first + count; k++)
    for (int64_t n = 0; n < MOE_PANEL; n++)
      *out++ = moe_read_element(element, panel + ((k / side * MOE_PANEL + n) * side + k % side) * size);
}

static void read_strip(const moe_matrix_layout *matrix, const void *region, int64_t panel, int64_t first, int64_t count,
                       float *out) {
  const uint8_t *base = region, *at = base + matrix->offset + panel * matrix->panel_step;
  if (!moe_is_coded(&matrix->form)) {
    read_dense(matrix->form.element, at, first, count, out);
    return;
  }
  moe_coded_piece piece = {.form = &matrix->form,
                           .decoder = (const moe_decoder *)(base + matrix->decoder_offset),
                           .panel = at,
                           .first = first,
                           .count = moe_round_up(count, MOE_STEP),
                           .ahead = at + moe_input_offset(&matrix->form, first)};
  moe_kernels_for(moe_isa_best())->unpack(&piece, out);
}

void moe_unpack_projection(const moe_expert_layout *layout, moe_projection projection, const void *region,
                           float *destination, int64_t row_stride, int64_t column_stride) {
  const moe_matrix_layout *matrix = moe_matrix(layout, projection);
  _Alignas(64) float strip[STRIP * MOE_PANEL];
  for (int64_t panel = 0; panel < matrix->panels; panel++) {
    int64_t outputs = moe_min(MOE_PANEL, matrix->outputs - panel * MOE_PANEL);
    for (int64_t first = 0; first < matrix->inputs; first += STRIP) {
      int64_t count = moe_min(STRIP, matrix->inputs - first);
      read_strip(matrix, region, panel, first, count, strip);
      float *to = destination + panel * MOE_PANEL * row_stride + first * column_stride;
      for (int64_t n = 0; n < outputs; n++)
        for (int64_t k = 0; k < count; k++) to[n * row_stride + k * column_stride] = strip[k * MOE_PANEL + n];
    }
  }
}
