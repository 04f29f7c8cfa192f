// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Dense matrices that are no expert's: the gate, the gate of a shared expert, latent projections. All in 32 bits.
#include "moe_device.h"
#include "warp.cuh"

namespace linear {

/// Tokens that a warp takes with one reading of its row.
constexpr int tokens = 8;

}  // namespace linear

/// Grid: [rows / 8, tokens / 8], 256 threads: a warp for each row. A token's sum doesn't depend on the others.
extern "C" __global__ void __launch_bounds__(256) moe_linear(const __grid_constant__ moe_linear_device_arguments p) {
  const int row = blockIdx.x * 8 + (threadIdx.x >> 5), lane = threadIdx.x & 31, first = blockIdx.y * linear::tokens;
  if (row >= p.rows) return;
  float sums[linear::tokens] = {};
  for (int column = lane; column < p.columns; column += 32) {
    const float weight = p.weights[(long long)row * p.columns + column];
#pragma unroll
    for (int i = 0; i < linear::tokens; i++)
      if (first + i < p.tokens) sums[i] = fmaf(weight, p.input[(long long)(first + i) * p.columns + column], sums[i]);
  }
#pragma unroll
  for (int i = 0; i < linear::tokens; i++) {
    const float sum = warpSum(sums[i]);
    if (lane == 0 && first + i < p.tokens)
      p.output[(long long)(first + i) * p.rows + row] = sum + (p.bias ? p.bias[row] : 0.f);
  }
}
