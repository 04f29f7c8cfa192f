// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// f32 as bf16, 8 values at a time: what a model gives becomes what the products take.
#include "barrier.cuh"

constexpr int threads = 256;

extern "C" __global__ void __launch_bounds__(threads) experts_round(const __grid_constant__ moe_hopper_round_arguments p) {
  barrier::waitForPreviousKernel();
  barrier::releaseNextKernel();
  for (long long i = blockIdx.x * threads + threadIdx.x; i < p.count; i += gridDim.x * threads) {
    const float4 low = ((const float4*)p.input)[2 * i], high = ((const float4*)p.input)[2 * i + 1];
    ((Words*)p.output)[i] = {packBF16(low.x, low.y), packBF16(low.z, low.w), packBF16(high.x, high.y), packBF16(high.z, high.w)};
  }
}
