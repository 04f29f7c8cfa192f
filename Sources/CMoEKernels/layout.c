// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "moe_layout.h"

#include "panel.h"

// Sizes up to 2^40 in either direction keep every product below in 63 bits only if their product does.
static bool is_matrix(int64_t outputs, int64_t inputs) {
  int64_t product;
  return outputs > 0 && inputs > 0 && outputs <= (INT64_C(1) << 40) && inputs <= (INT64_C(1) << 40) &&
         !__builtin_mul_overflow(outputs + MOE_PANEL, (inputs + 2) * 16, &product);
}

int64_t moe_element_bytes(moe_element element) { return element == MOE_ELEMENT_F32 ? 4 : 2; }

moe_expert_layout moe_expert_layout_make(moe_expert_shape shape) {
  moe_expert_layout layout = {.shape = shape};
  if (!is_matrix(shape.hidden, shape.intermediate)) return layout;
  layout.first_panel_bytes = moe_panel_bytes(shape.element, shape.hidden);
  layout.down_panel_bytes = moe_panel_bytes(shape.element, shape.intermediate);
  layout.first_panels = moe_panels(shape.intermediate);
  layout.down_panels = moe_panels(shape.hidden);
  layout.down_offset = layout.first_panels * layout.first_panel_bytes * (shape.gated ? 2 : 1);
  layout.bias_offset = layout.down_offset + layout.down_panels * layout.down_panel_bytes;
  int64_t biases = (layout.first_panels * 2 + layout.down_panels) * MOE_PANEL * 4;
  layout.bytes = layout.bias_offset + (shape.has_bias ? biases : 0);
  return layout;
}

moe_linear_layout moe_linear_layout_make(int64_t inputs, int64_t outputs, moe_element element, bool has_bias) {
  moe_linear_layout layout = {.inputs = inputs, .outputs = outputs, .element = element, .has_bias = has_bias};
  if (!is_matrix(outputs, inputs)) return layout;
  layout.panel_bytes = moe_panel_bytes(element, inputs);
  layout.panels = moe_panels(outputs);
  layout.bias_offset = layout.panels * layout.panel_bytes;
  layout.bytes = layout.bias_offset + (has_bias ? layout.panels * MOE_PANEL * 4 : 0);
  return layout;
}
