// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The sum over the experts of each token, in the order of its slots.
#include "numbers.cuh"

/// Grid: [tokens, columns / 256], 256 threads.
extern "C" __global__ void moe_combine(const __grid_constant__ moe_device_combine_arguments p) {
  const int token = blockIdx.x, column = blockIdx.y * 256 + threadIdx.x;
  if (column >= p.columns) return;
  float sum = 0;
  for (int slot = token * p.top_k; slot < (token + 1) * p.top_k; slot++) {
    const int row = p.indices[slot];
    if (row < 0 || (p.ids && p.ids[slot] < 0)) continue;
    sum = fmaf(p.weights ? p.weights[slot] : 1.f, p.rows[(long long)row * p.columns + column], sum);
  }
  setNumber(p.output, p.output_number, (long long)token * p.columns + column, sum);
}
