// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_PANEL_H
#define MOE_PANEL_H

#include "moe_pack.h"

/// Outputs of a panel.
enum { MOE_PANEL = MOE_PANEL_OUTPUTS };

static inline int64_t moe_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t moe_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t moe_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t moe_round_up(int64_t a, int64_t b) { return moe_ceil_div(a, b) * b; }

static inline int64_t moe_panels(int64_t outputs) { return moe_ceil_div(outputs, MOE_PANEL); }

/// Bytes of `inputs` inputs (even, or the last of a panel) of one panel: 64-byte lines in every form.
static inline int64_t moe_panel_bytes(moe_element element, int64_t inputs) {
  return moe_round_up(inputs, 2) * MOE_PANEL * moe_element_bytes(element);
}

static inline const moe_matrix_layout *moe_matrix(const moe_expert_layout *layout, moe_projection projection) {
  switch (projection) {
  case MOE_PROJECTION_GATE: return &layout->gate;
  case MOE_PROJECTION_UP: return &layout->up;
  case MOE_PROJECTION_DOWN: return &layout->down;
  }
}

#endif
