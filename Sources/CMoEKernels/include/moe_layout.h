// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_LAYOUT_H
#define MOE_LAYOUT_H

#include "moe_cpu.h"

#pragma clang assume_nonnull begin

/// An element type: of packed weights, and of the tensors they are packed from.
typedef enum MOE_CLOSED_ENUM moe_element {
  MOE_ELEMENT_F32 MOE_SWIFT_NAME("f32") = 0,
  MOE_ELEMENT_F16 MOE_SWIFT_NAME("f16") = 1,
  MOE_ELEMENT_BF16 MOE_SWIFT_NAME("bf16") = 2,
} moe_element;

enum { MOE_ELEMENT_COUNT = 3 };

/// Bytes of one element.
int64_t moe_element_bytes(moe_element element);

typedef enum MOE_CLOSED_ENUM moe_projection {
  /// w1 [intermediate, hidden]
  MOE_PROJECTION_GATE MOE_SWIFT_NAME("gate") = 0,
  /// w3 [intermediate, hidden]
  MOE_PROJECTION_UP MOE_SWIFT_NAME("up") = 1,
  /// w2 [hidden, intermediate]
  MOE_PROJECTION_DOWN MOE_SWIFT_NAME("down") = 2,
} moe_projection;

/// What the experts of one layer are.
typedef struct moe_expert_shape {
  int64_t hidden;
  int64_t intermediate;
  moe_element element;
  /// Without a gate the activation of `up` goes straight into `down`.
  bool gated;
  /// Gate, up and down each have a bias (zeros where a checkpoint has none).
  bool has_bias;
} moe_expert_shape;

/// Where the parts of one expert lie in its region, all at multiples of 64 bytes.
///
/// A projection of N outputs and K inputs is cut into panels of 32 outputs (N filled with zeros to a multiple of 32,
/// K to a multiple of 2). Inside a panel the inputs are the slow index: [K][32] for f32 and f16, [K/2][32][2] for
/// bf16. In the first part every gate panel is followed by the up panel of the same outputs. Biases are f32: gate,
/// up, down, each filled to 32.
typedef struct moe_expert_layout {
  moe_expert_shape shape;
  /// Bytes of one panel of gate or up, and of down.
  int64_t first_panel_bytes, down_panel_bytes;
  /// Panels of gate (as many of up), and of down.
  int64_t first_panels, down_panels;
  int64_t down_offset, bias_offset;
  /// Bytes of the region; 0 for a shape that is no shape (a size below 1, or too large to count).
  int64_t bytes;
} moe_expert_layout;

moe_expert_layout moe_expert_layout_make(moe_expert_shape shape);

/// Where the parts of a linear layer lie: panels as in an expert, then the bias as f32.
typedef struct moe_linear_layout {
  int64_t inputs, outputs;
  moe_element element;
  bool has_bias;
  int64_t panel_bytes, panels, bias_offset;
  /// Bytes of the region; 0 for a shape that is no shape.
  int64_t bytes;
} moe_linear_layout;

moe_linear_layout moe_linear_layout_make(int64_t inputs, int64_t outputs, moe_element element, bool has_bias);

#pragma clang assume_nonnull end

#endif
