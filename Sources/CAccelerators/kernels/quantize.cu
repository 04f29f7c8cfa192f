// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Rows of bf16 as e4m3 with a scale for each 128 columns: the greatest magnitude becomes 448. 16 lanes take a block.
//
// Runs beside the sort: the kernel before it, which let it start only after all earlier ones had ended, and whose result it
// doesn't read. It ends after the sort, so that who waits for this kernel has waited for both.
#include "activation.cuh"
#include "barrier.cuh"
#include "e4m3.cuh"

constexpr int threads = 256;

extern "C" __global__ void __launch_bounds__(threads) experts_quantize(const __grid_constant__ moe_hopper_quantize_arguments p) {
  barrier::releaseNextKernel();
  const int blocks = ceilDivide(p.columns, 128), total = p.rows * blocks, chunk = threadIdx.x & 15;
  const int perGrid = gridDim.x * (threads / 16), begin = blockIdx.x * (threads / 16) + threadIdx.x / 32 * 2;
  // Both halves of a warp stay together: they compare their values as one.
  for (int pair = begin; pair < total; pair += perGrid) {
    const int index = pair + (lane() >> 4), row = index / blocks, block = index % blocks, column = block * 128 + chunk * 8;
    const bool there = index < total && column < p.columns;
    const long long place = (long long)row * p.columns + column;
    const Words values = there ? *(const Words*)(p.input + place) : Words{};
    const float greatest = greatestOfBlock(values);
    if (!there) continue;
    *(u64*)(p.codes + place) = quantizeE4M3(values, 448.f * reciprocal(greatest));
    if (chunk == 0) p.scales[index] = greatest * (1 / 448.f);
  }
  barrier::waitForPreviousKernel();
}
