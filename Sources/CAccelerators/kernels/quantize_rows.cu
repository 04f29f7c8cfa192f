// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Rows of bf16 as e4m3 with a scale for each row: the greatest magnitude becomes 448. A warp takes a row. Columns are stored in the
// order of `e2m1.cuh`, up to a multiple of 128, with zeros.
//
// Tokens are quantised beside the sort, as in `quantize.cu`; what comes out of the first product, of which the sort knows the number of
// rows, after that product.
#include "activation.cuh"
#include "barrier.cuh"
#include "e4m3.cuh"

constexpr int threads = 256;

extern "C" __global__ void __launch_bounds__(threads, 3) experts_quantize_rows(
  const __grid_constant__ moe_hopper_quantize_arguments p) {
  barrier::releaseNextKernel();
  if (p.rowCount) barrier::waitForPreviousKernel();
  const int rows = p.rowCount ? *p.rowCount : p.rows, perGrid = gridDim.x * (threads / 32);
  const int width = ceilDivide(p.columns, 128) * 128;
  for (int row = blockIdx.x * (threads / 32) + threadIdx.x / 32; row < rows; row += perGrid) {
    const u16* const input = p.input + (long long)row * p.columns;
    u8* const output = p.codes + (long long)row * width;
    const float scale = quantizeRow<12>(
      width, [&](int column) { return column < p.columns ? *(const Words*)(input + column) : Words{}; },
      [&](int column, u64 codes) {
        u8* const place = output + (column & ~127) + (column & 24) * 4 + (column >> 3 & 12);
        *(u32*)place = (u32)codes;
        *(u32*)(place + 16) = (u32)(codes >> 32);
      });
    if (lane() == 0) p.scales[row] = scale;
  }
  if (!p.rowCount) barrier::waitForPreviousKernel();
}
