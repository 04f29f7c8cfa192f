// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "moe_pack.h"

#include <stdlib.h>

#include "convert.h"
#include "interleave.h"
#include "panel.h"

/// Inputs that are packed at a time: a strip of 32 outputs and these inputs stays in L1.
enum { STRIP = 64 };

#define INLINE static inline __attribute__((always_inline))

// MARK: Lines: elements at one stride, to elements side by side

INLINE void convert_line(moe_element to, void *out, moe_element from, const uint8_t *in, int64_t stride,
                         int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const uint8_t *p = in + i * stride * (from == MOE_ELEMENT_F32 ? 4 : 2);
    uint8_t *q = (uint8_t *)out + i * (to == MOE_ELEMENT_F32 ? 4 : 2);
    if (to == from)
      memcpy(q, p, to == MOE_ELEMENT_F32 ? 4 : 2);
    else
      moe_write_element(to, q, moe_read_element(from, p));
  }
}

INLINE void line_from(moe_element to, void *out, moe_element from, const uint8_t *in, int64_t stride, int64_t count) {
  switch (from) {
  case MOE_ELEMENT_F32: convert_line(to, out, MOE_ELEMENT_F32, in, stride, count); break;
  case MOE_ELEMENT_F16: convert_line(to, out, MOE_ELEMENT_F16, in, stride, count); break;
  case MOE_ELEMENT_BF16: convert_line(to, out, MOE_ELEMENT_BF16, in, stride, count); break;
  }
}

/// Separate loops for neighbours and for every second element, which the compiler turns into vectors.
INLINE void line_to(moe_element to, void *out, moe_element from, const uint8_t *in, int64_t stride, int64_t count) {
  if (stride == 1)
    line_from(to, out, from, in, 1, count);
  else if (stride == 2)
    line_from(to, out, from, in, 2, count);
  else
    line_from(to, out, from, in, stride, count);
}

static void line(moe_element to, void *out, moe_element from, const uint8_t *in, int64_t stride, int64_t count) {
  switch (to) {
  case MOE_ELEMENT_F32: line_to(MOE_ELEMENT_F32, out, from, in, stride, count); break;
  case MOE_ELEMENT_F16: line_to(MOE_ELEMENT_F16, out, from, in, stride, count); break;
  case MOE_ELEMENT_BF16: line_to(MOE_ELEMENT_BF16, out, from, in, stride, count); break;
  }
}

// MARK: Panels

/// Packs a strip: up to 32 outputs and up to STRIP inputs whose first element is at `in`.
static void pack_strip(moe_element element, const moe_source *source, const uint8_t *in, int64_t outputs,
                       int64_t inputs, uint8_t *piece) {
  _Alignas(64) uint8_t strip[MOE_PANEL * STRIP * 4];
  int64_t size = moe_element_bytes(element), from_size = moe_element_bytes(source->element);
  int64_t filled = moe_round_up(inputs, 2);
  bool by_output = llabs(source->column_stride) <= llabs(source->row_stride);
  bool in_place = !by_output && element != MOE_ELEMENT_BF16;  // the strip is the piece already
  int64_t lines = by_output ? outputs : inputs, length = by_output ? inputs : outputs;
  int64_t step = by_output ? source->row_stride : source->column_stride;
  int64_t stride = by_output ? source->column_stride : source->row_stride;
  int64_t line_bytes = (by_output ? STRIP : MOE_PANEL) * size;
  uint8_t *to = in_place ? piece : strip;
  if (outputs < MOE_PANEL || inputs < STRIP)
    memset(to, 0, in_place ? (size_t)(filled * MOE_PANEL * size) : sizeof strip);
  for (int64_t i = 0; i < lines; i++)
    line(element, to + i * line_bytes, source->element, in + i * step * from_size, stride, length);
  if (in_place) return;

  if (!by_output) {
    moe_pair_halves((const uint16_t *)strip, filled, (uint16_t *)piece);
    return;
  }
  // A transposition works in whole blocks of inputs; the last strip's goes through a second strip.
  _Alignas(64) uint8_t turned[MOE_PANEL * STRIP * 4];
  uint8_t *out = inputs == STRIP ? piece : turned;
  if (element == MOE_ELEMENT_F16)
    moe_transpose_halves((const uint16_t *)strip, STRIP, STRIP, (uint16_t *)out);
  else
    moe_transpose_words((const uint32_t *)strip, STRIP * size / 4, STRIP * size / 4, (uint32_t *)out);
  if (out != piece) memcpy(piece, turned, (size_t)moe_panel_bytes(element, inputs));
}

/// Packs [outputs, inputs] into panels `panel_step` bytes apart.
static void pack_matrix(moe_element element, moe_source source, int64_t outputs, int64_t inputs, uint8_t *panels,
                        int64_t panel_step) {
  int64_t size = moe_element_bytes(source.element);
  for (int64_t n = 0; n < outputs; n += MOE_PANEL) {
    uint8_t *panel = panels + n / MOE_PANEL * panel_step;
    for (int64_t k = 0; k < inputs; k += STRIP) {
      const uint8_t *in = (const uint8_t *)source.base + (n * source.row_stride + k * source.column_stride) * size;
      pack_strip(element, &source, in, moe_min(MOE_PANEL, outputs - n), moe_min(STRIP, inputs - k),
                 panel + moe_panel_bytes(element, k));
    }
  }
}

/// `count` numbers and zeros up to a whole panel.
static void pack_bias(const moe_source *source, int64_t count, float *bias) {
  int64_t filled = source ? count : 0;
  if (source) line(MOE_ELEMENT_F32, bias, source->element, source->base, source->row_stride, count);
  memset(bias + filled, 0, (size_t)(moe_panels(count) * MOE_PANEL - filled) * sizeof(float));
}

// MARK: Experts

void moe_pack_projection(const moe_expert_layout *layout, moe_projection projection, moe_outputs outputs,
                         moe_source source, void *region) {
  const moe_matrix_layout *matrix = moe_matrix(layout, projection);
  uint8_t *panels = (uint8_t *)region + matrix->offset + outputs.first / MOE_PANEL * matrix->panel_step;
  pack_matrix(matrix->form.element, source, outputs.count, matrix->inputs, panels, matrix->panel_step);
}

void moe_pack_bias(const moe_expert_layout *layout, moe_projection projection, moe_outputs outputs,
                   const moe_source *source, void *region) {
  const moe_matrix_layout *matrix = moe_matrix(layout, projection);
  pack_bias(source, outputs.count, (float *)((uint8_t *)region + matrix->bias_offset) + outputs.first);
}

const float *moe_bias(const moe_expert_layout *layout, moe_projection projection, const void *region) {
  return (const float *)((const uint8_t *)region + moe_matrix(layout, projection)->bias_offset);
}

// MARK: Linear layers

void moe_pack_linear(const moe_linear_layout *layout, moe_source weight, const moe_source *bias, void *region) {
  pack_matrix(layout->element, weight, layout->outputs, layout->inputs, region, layout->panel_bytes);
  if (layout->has_bias) pack_bias(bias, layout->outputs, (float *)((uint8_t *)region + layout->bias_offset));
}
