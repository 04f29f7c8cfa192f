// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_FORWARD_H
#define MOE_FORWARD_H

#include "moe_layout.h"
#include "moe_pool.h"

#pragma clang assume_nonnull begin

typedef enum MOE_CLOSED_ENUM moe_activation_function {
  /// g · σ(alpha · g)
  MOE_ACTIVATION_SILU MOE_SWIFT_NAME("silu") = 0,
  /// g · ½(1 + erf(g/√2))
  MOE_ACTIVATION_GELU_ERF MOE_SWIFT_NAME("geluErf") = 1,
  /// g · ½(1 + tanh(√(2/π)(g + 0.044715 g³)))
  MOE_ACTIVATION_GELU_TANH MOE_SWIFT_NAME("geluTanh") = 2,
  /// max(g, 0)²
  MOE_ACTIVATION_RELU2 MOE_SWIFT_NAME("relu2") = 3,
  /// situ_beta · tanh(g / situ_beta) · σ(g), and u becomes situ_linear_beta · tanh(u / situ_linear_beta) where that
  /// is above 0
  MOE_ACTIVATION_SITU MOE_SWIFT_NAME("situ") = 4,
} moe_activation_function;

enum { MOE_ACTIVATION_FUNCTION_COUNT = 5 };

/// f(g) · (u + beta), or f(u) without a gate.
///
/// `limit` clamps first: g = min(g, limit), u = clamp(u, ±limit). `limit_after` clamps last: min(f(g), limit_after) and
/// clamp(u, ±limit_after) before `beta` is added. NaN and infinity mean no limit.
typedef struct moe_activation {
  moe_activation_function function;
  float alpha;
  float beta;
  float limit;
  float limit_after;
  float situ_beta;
  float situ_linear_beta;
} moe_activation;

/// `function` with alpha 1, beta 0, no limits, situ_beta 1 and no situ_linear_beta.
moe_activation moe_activation_make(moe_activation_function function);

/// out[i] = activation of (gate[i], up[i]); without a gate pass null. `out` may be `gate` or `up`.
void moe_activate(const moe_kernels *kernels, const moe_activation *activation, const float *_Nullable gate,
                  const float *up, float *out, int64_t count);

/// What the inputs of both products are rounded to; all sums are of 32 bits.
typedef enum MOE_CLOSED_ENUM moe_activations {
  /// Nothing.
  MOE_ACTIVATIONS_F32 MOE_SWIFT_NAME("f32") = 0,
  /// bf16, to nearest, ties to even.
  MOE_ACTIVATIONS_BF16 MOE_SWIFT_NAME("bf16") = 1,
  /// x · 127 / (greatest magnitude), to nearest, of as many inputs as share a scale of the weights, 128 at most.
  MOE_ACTIVATIONS_I8 MOE_SWIFT_NAME("int8") = 2,
} moe_activations;

typedef enum MOE_CLOSED_ENUM moe_status {
  MOE_STATUS_OK MOE_SWIFT_NAME("ok") = 0,
  /// An id is below -1, not below `expert_count`, or names a slot without a region.
  MOE_STATUS_BAD_ID MOE_SWIFT_NAME("badID") = 1,
  /// The workspace is too small or not aligned to 64 bytes.
  MOE_STATUS_BAD_WORKSPACE MOE_SWIFT_NAME("badWorkspace") = 2,
} moe_status;

/// One forward of the routed experts of a layer:
///
///     out[t] = Σ weights[t, j] · (down(act(gate · x[t], up · x[t])) + down bias)     over j in slot order, ids[t, j] ≥ 0
///
/// Everything accumulates in fp32, each output element over its inputs in ascending order, so a token's result
/// depends neither on the other tokens nor on the number of threads (it does on the instruction set).
typedef struct moe_forward_arguments {
  const moe_kernels *kernels;
  moe_expert_layout layout;
  moe_activation activation;
  moe_activations activations;
  /// The weight multiplies what gate and up yield, before their biases, and not the output (Llama 4).
  bool weight_on_input;
  /// [expert_count] regions, aligned to 64 bytes; null for a slot that no id names.
  const void *_Nullable const *_Nonnull experts;
  int32_t expert_count;
  int32_t top_k;
  int64_t tokens;
  /// [tokens, hidden], rows `x_stride` floats apart.
  const float *x;
  int64_t x_stride;
  /// [tokens, top_k] local slots; -1 is skipped.
  const int32_t *ids;
  /// [tokens, top_k]
  const float *weights;
  /// [tokens, hidden], rows `out_stride` floats apart; not x.
  float *out;
  int64_t out_stride;
  /// Where the slots are not to be added up here: [tokens, top_k], the row of `out` that each slot with an id gets, before
  /// its weight (with weights on the input, after).
  const int32_t *_Nullable row_of_slot;
  /// At least `moe_forward_workspace` bytes, aligned to 64; what it holds before and after is of no meaning.
  void *workspace;
  int64_t workspace_bytes;
} moe_forward_arguments;

/// Bytes of workspace that a forward of up to `tokens` tokens needs.
int64_t moe_forward_workspace(const moe_kernels *kernels, const moe_expert_layout *layout, moe_activations activations,
                              int32_t expert_count, int64_t tokens, int32_t top_k, const moe_pool *pool);

/// Nothing is written unless the status is ok.
moe_status moe_forward(moe_pool *pool, const moe_forward_arguments *arguments);

/// What `moe_forward` does last, when rows were computed elsewhere:
///
///     out[t] = Σ weights[t, j] · rows[row_of_slot[t, j]]     over j in slot order, ids[t, j] ≥ 0
///
/// Bit by bit what `moe_forward` gives on the same instruction set.
typedef struct moe_combine_arguments {
  const moe_kernels *kernels;
  int64_t hidden;
  int32_t top_k;
  int64_t tokens;
  /// [any, hidden]
  const float *rows;
  /// [tokens, top_k]; -1 is skipped, others are not looked at.
  const int32_t *ids;
  /// [tokens, top_k]; null for weights of 1.
  const float *_Nullable weights;
  /// [tokens, top_k]
  const int32_t *row_of_slot;
  /// [tokens, hidden]
  float *out;
} moe_combine_arguments;

void moe_combine(moe_pool *pool, const moe_combine_arguments *arguments);

/// out[t] = W · x[t] (+ bias): router logits, the gate of a shared expert, latent projections.
typedef struct moe_linear_arguments {
  const moe_kernels *kernels;
  moe_linear_layout layout;
  /// The packed layer, aligned to 64 bytes.
  const void *region;
  int64_t tokens;
  /// [tokens, inputs], rows `x_stride` floats apart.
  const float *x;
  int64_t x_stride;
  /// [tokens, outputs], rows `out_stride` floats apart; not x.
  float *out;
  int64_t out_stride;
  void *workspace;
  int64_t workspace_bytes;
} moe_linear_arguments;

int64_t moe_linear_workspace(const moe_linear_layout *layout, int64_t tokens, const moe_pool *pool);

/// Same order of accumulation, and so the same independence, as `moe_forward`.
moe_status moe_linear(moe_pool *pool, const moe_linear_arguments *arguments);

#pragma clang assume_nonnull end

#endif
