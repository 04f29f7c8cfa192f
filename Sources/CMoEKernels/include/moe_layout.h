// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_LAYOUT_H
#define MOE_LAYOUT_H

#include "moe_form.h"

#pragma clang assume_nonnull begin

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
  /// Of each projection on its own; `gate` does not count without a gate.
  moe_form gate, up, down;
  /// Without a gate the activation of `up` goes straight into `down`.
  bool gated;
  /// Gate, up and down each have a bias (zeros where a checkpoint has none).
  bool has_bias;
} moe_expert_shape;

/// Where one projection lies in a region, all at multiples of 64 bytes.
typedef struct moe_matrix_layout {
  moe_form form;
  int64_t outputs, inputs;
  /// Panels (none for the gate of experts without one), the first at `offset`, `panel_step` bytes from one to the next,
  /// of which it fills `panel_bytes`.
  int64_t panels, offset, panel_step, panel_bytes;
  /// The decoder of codes and its table; not for dense weights.
  int64_t decoder_offset;
  /// f32, filled with zeros to a multiple of 32; only where experts have biases.
  int64_t bias_offset;
} moe_matrix_layout;

/// Where the parts of one expert lie in its region: panels of gate and up, panels of down, biases, decoders.
///
/// A projection of N outputs and K inputs is cut into panels of 32 outputs. In the first part every gate panel is
/// followed by the up panel of the same outputs.
///
/// **Dense**: N is filled with zeros to a multiple of 32, K to a multiple of 2. Inside a panel the inputs are the slow
/// index: [K][32] for f32 and f16, [K/2][32][2] for bf16.
///
/// **Codes**: a panel is one stream, read front to back, in which each thing stands where the first input comes that
/// needs it. In the order of inputs k = 0, 8, 16 … the stream holds
///
///     where k is a multiple of super_group   factor [32], then minimum_factor [32] where the correction is a minimum
///     where k is a multiple of group         scale [32], then correction [32] where there is one
///     for each plane, narrow planes first    the words [32] whose first input is in k ..< k + 8
///
/// and is filled with zeros to 64 bytes. Codes of 8 and 7 bits are one plane of 8 bits, 4: one of 4, 2 and 1: one of 2;
/// 6, 5 and 3 bits are their low 4, 4 and 2 bits in one plane and the 2, 1 and 1 bits above those in another.
///
/// A word is 32 bits (little-endian) of one output and 32/w inputs of a plane of w bits: bits w·i ..< w·i + w of byte j
/// are input 4·i + j, counted from the word's first. So `word >> w·i & mask` is four successive inputs in four bytes,
/// whatever w is: 8-bit codes are [K/4][32][4] bytes, and a 4-bit word has inputs 0 … 3 in its low nibbles and 4 … 7 in
/// its high ones.
///
/// Outputs beyond N have scale, factor and correction 0 (e8m0: 2^-127) and, as inputs beyond K have, the code whose
/// table entry is the closest to 0. Inputs beyond K take the numbers of their group: it is for a kernel to multiply
/// them by nothing but 0.
typedef struct moe_expert_layout {
  moe_expert_shape shape;
  moe_matrix_layout gate, up, down;
  /// Bytes of the region; 0 for a shape that is no shape: a size below 1 or too large to count, or a form that is none
  /// (bits above 8, a group that is no multiple of 8, a super-group that is no multiple of a group, a correction or a
  /// factor in e8m0).
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
