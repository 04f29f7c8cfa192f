// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The products of experts with 32-bit activations: plain multiply-adds, every sum over ascending columns. What other
// paths are checked against on the device, and the path of activations that are quantised as a checkpoint declares.
#include "output.cuh"

namespace f32 {

constexpr int tileRows = 64, panelRows = 32, step = 32;

}  // namespace f32

/// Grid: [tiles, panels], 256 threads; each owns 4 rows of 2 columns of both panels.
extern "C" __global__ void __launch_bounds__(256) moe_product_f32(const __grid_constant__ moe_product_arguments p) {
  using namespace f32;
  __shared__ float tables[2][tableSize];
  // Columns of the step first, so that a thread reads its rows side by side.
  __shared__ __align__(16) float inputs[step][tileRows + 4];
  __shared__ __align__(16) float weights[2][step][panelRows + 2];
  if (p.tiles[blockIdx.x].first_row >= p.tiles[blockIdx.x].end_row) return;
  const Panels<panelRows> panels(p, tables);
  const int thread = threadIdx.x, row = thread >> 2, chunk = (thread & 3) * 8;
  const int inputRow = panels.inputRow(row), columns = panels.columns();
  const int y = (thread >> 4) * 4, x = (thread & 15) * 2;
  float sums[2][4][2] = {};
  __syncthreads();
  for (int start = 0; start < columns; start += step) {
    float values[8] = {};
    if (inputRow >= 0 && start + chunk < columns)
      numbers8(p.input, p.input_number, (long long)inputRow * columns + start + chunk, values);
#pragma unroll
    for (int i = 0; i < 8; i++) inputs[chunk + i][row] = values[i];
    panels.weights(row >> 5, row & 31, start + chunk, values);
#pragma unroll
    for (int i = 0; i < 8; i++) weights[row >> 5][chunk + i][row & 31] = values[i];
    __syncthreads();
#pragma unroll 8
    for (int k = 0; k < step; k++) {
      const float4 a = *(const float4 *)&inputs[k][y];
      const float rows[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
      for (int panel = 0; panel < 2; panel++) {
        const float2 w = *(const float2 *)&weights[panel][k][x];
#pragma unroll
        for (int i = 0; i < 4; i++) {
          sums[panel][i][0] = fmaf(rows[i], w.x, sums[panel][i][0]);
          sums[panel][i][1] = fmaf(rows[i], w.y, sums[panel][i][1]);
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 2; j++) finish(panels, y + i, x + j, sums[0][i][j], sums[1][i][j]);
}
