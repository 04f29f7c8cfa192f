// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "decoder.h"

// Sizes up to 2^40 in either direction keep every product below in 63 bits only if their product does.
static bool is_matrix(int64_t outputs, int64_t inputs) {
  int64_t product;
  return outputs > 0 && inputs > 0 && outputs <= (INT64_C(1) << 40) && inputs <= (INT64_C(1) << 40) &&
         !__builtin_mul_overflow(outputs + MOE_PANEL, (inputs + 2) * 16, &product);
}

static bool is_form(const moe_form *form) {
  if (!moe_is_coded(form)) return true;
  bool zero_is_stored = (form->correction == MOE_CORRECTION_NONE || form->correction_number != MOE_NUMBER_E8M0) &&
                        (form->super_group == 0 || form->factor != MOE_NUMBER_E8M0);
  return form->bits >= 1 && form->bits <= 8 && zero_is_stored && form->group >= 0 && form->group <= MOE_ALL_INPUTS &&
         form->group % MOE_STEP == 0 && form->super_group >= 0 && form->super_group <= MOE_ALL_INPUTS &&
         form->super_group % moe_group(form) == 0;
}

static int64_t panel_bytes(const moe_form *form, int64_t inputs) {
  return moe_is_coded(form) ? moe_round_up(moe_input_offset(form, moe_round_up(inputs, MOE_STEP)), 64)
                            : moe_panel_bytes(form->element, inputs);
}

static moe_matrix_layout matrix(moe_form form, int64_t outputs, int64_t inputs) {
  int64_t bytes = panel_bytes(&form, inputs);
  return (moe_matrix_layout){.form = form,
                             .outputs = outputs,
                             .inputs = inputs,
                             .panels = moe_panels(outputs),
                             .panel_step = bytes,
                             .panel_bytes = bytes};
}

moe_expert_layout moe_expert_layout_make(moe_expert_shape shape) {
  moe_expert_layout layout = {.shape = shape};
  if (!is_matrix(shape.hidden, shape.intermediate) || !is_form(&shape.up) || !is_form(&shape.down) ||
      (shape.gated && !is_form(&shape.gate)))
    return layout;
  moe_matrix_layout *gate = &layout.gate, *up = &layout.up, *down = &layout.down;
  *up = matrix(shape.up, shape.intermediate, shape.hidden);
  *down = matrix(shape.down, shape.hidden, shape.intermediate);
  if (shape.gated) {
    *gate = matrix(shape.gate, shape.intermediate, shape.hidden);
    up->offset = gate->panel_bytes;
    gate->panel_step = up->panel_step = gate->panel_bytes + up->panel_bytes;
  } else {
    gate->outputs = shape.intermediate;
    gate->inputs = shape.hidden;
  }
  down->offset = up->panels * up->panel_step;
  int64_t bytes = down->offset + down->panels * down->panel_step;
  moe_matrix_layout *matrices[] = {gate, up, down};
  for (int p = 0; p < 3; p++) {
    matrices[p]->bias_offset = bytes;
    if (shape.has_bias) bytes += moe_panels(matrices[p]->outputs) * MOE_PANEL * 4;
  }
  for (int p = 0; p < 3; p++) {
    matrices[p]->decoder_offset = bytes;
    bytes += moe_decoder_bytes(&matrices[p]->form);
  }
  layout.bytes = bytes;
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
