// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Rows of bf16 as e4m3 with a scale for each row: the greatest magnitude becomes 448. A warp takes a row. Columns are stored up to a
// multiple of 128, with zeros; with `WEIGHTS` 12 in the order of `e2m1.cuh`.
//
// Tokens are quantised beside the sort, as in `quantize.cu`; what comes out of the first product, of which the sort knows the number of
// rows, after that product.
#include "activation.cuh"
#include "barrier.cuh"
#include "e4m3.cuh"
#include "weights.cuh"

constexpr int threads = 256, columnsAtOnce = 256;
/// So many times 256 columns of a row are loaded once, what is beyond twice.
constexpr int keptPieces = 12, rest = keptPieces * columnsAtOnce;

extern "C" __global__ void __launch_bounds__(threads, 3) experts_quantize_rows(
  const __grid_constant__ moe_hopper_quantize_arguments p) {
  barrier::releaseNextKernel();
  if (p.rowCount) barrier::waitForPreviousKernel();
  const int rows = p.rowCount ? *p.rowCount : p.rows, perGrid = gridDim.x * (threads / 32);
  const int width = ceilDivide(p.columns, 128) * 128, own = lane() * 8;
  for (int row = blockIdx.x * (threads / 32) + threadIdx.x / 32; row < rows; row += perGrid) {
    const u16* const input = p.input + (long long)row * p.columns;
    u8* const output = p.codes + (long long)row * width;
    const auto load = [&](int column) { return column < p.columns ? *(const Words*)(input + column) : Words{}; };
    Words first[keptPieces];
#pragma unroll
    for (int i = 0; i < keptPieces; ++i) first[i] = load(i * columnsAtOnce + own);
    u32 bits = 0;
    const auto compare = [&](const Words& values) { bits = greaterHalves(bits, greatestBits(values)); };
#pragma unroll
    for (int i = 0; i < keptPieces; ++i) compare(first[i]);
#pragma unroll 4
    for (int column = rest + own; column < p.columns; column += columnsAtOnce) compare(load(column));
#pragma unroll
    for (int step = 1; step < 32; step *= 2) bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, step));
    const float greatest = fmaxf(fmaxf(lowBF16(bits), highBF16(bits)), leastGreatestOfRow), inverse = 448.f * reciprocal(greatest);
    const auto store = [&](int column, const Words& values) {
      const u64 codes = quantizeE4M3(values, inverse);
      if (WEIGHTS == MXFP4_E4M3) {
        u8* const place = output + (column & ~127) + (column & 24) * 4 + (column >> 3 & 12);
        *(u32*)place = (u32)codes;
        *(u32*)(place + 16) = (u32)(codes >> 32);
      } else {
        *(u64*)(output + column) = codes;
      }
    };
#pragma unroll
    for (int i = 0; i < keptPieces; ++i)
      if (i * columnsAtOnce + own < width) store(i * columnsAtOnce + own, first[i]);
#pragma unroll 4
    for (int column = rest + own; column < width; column += columnsAtOnce) store(column, load(column));
    if (lane() == 0) p.scales[row] = greatest * (1 / 448.f);
  }
  if (!p.rowCount) barrier::waitForPreviousKernel();
}
