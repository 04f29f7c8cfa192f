// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What follows a product: weights on the input, biases, activation, and the place in the output.
#pragma once
#include "matrix.cuh"

/// The steps and their order are those of `Activation` in Swift.
static __device__ __noinline__ float activate(const moe_device_activation &a, float gate, float up) {
  const float x = fminf(a.is_gated ? gate : up, a.limit);
  float f;
  switch (a.function) {
    case MOE_SILU: f = x / (1.f + expf(-a.alpha * x)); break;
    case MOE_GELU: f = 0.5f * x * (1.f + erff(x * 0.70710678118654752f)); break;
    case MOE_GELU_TANH: f = 0.5f * x * (1.f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x))); break;
    case MOE_RELU2: f = fmaxf(x, 0.f) * fmaxf(x, 0.f); break;
    default: f = a.situ_beta * tanhf(x / a.situ_beta) / (1.f + expf(-x)); break;
  }
  f = fminf(f, a.limit_after);
  if (!a.is_gated) return f;
  float u = fmaxf(-a.limit, fminf(up, a.limit));
  if (a.function == MOE_SITU && a.situ_up_beta > 0.f) u = a.situ_up_beta * tanhf(u / a.situ_up_beta);
  return f * (fmaxf(-a.limit_after, fminf(u, a.limit_after)) + a.beta);
}

/// Stores the two sums of a thread at one place of both panels: `row` of the tile, `column` of each panel.
template <int panelRows>
__device__ __forceinline__ void finish(const Panels<panelRows> &panels, int row, int column, float first, float second) {
  const moe_product_arguments &p = panels.p;
  const int r = panels.tile.first_row + row;
  if (r >= panels.tile.end_row) return;
  const long long place = (long long)(p.indices ? p.indices[p.slots[r]] : r) * p.up.rows;
  const float weight = p.is_gate_up && p.weights ? p.weights[p.slots[r]] : 1.f;
  const int n = panels.firstRow(0) + column, next = panels.firstRow(1) + column;
  if (n >= p.up.rows) return;
  first = first * weight + panels.matrix(0).bias(n);
  second = second * weight + (next < p.up.rows ? panels.matrix(1).bias(next) : 0.f);
  if (p.is_gate_up) {
    const float gate = first;
    first = activate(p.activation, gate, panels.isPaired ? second : gate);
    if (!panels.isPaired) second = activate(p.activation, second, second);
  }
  setNumber(p.output, p.output_number, place + n, first);
  if (!panels.isPaired && next < p.up.rows) setNumber(p.output, p.output_number, place + next, second);
}
