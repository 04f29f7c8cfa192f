// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The products of experts with bf16 activations on the matrix units of sm_80 and later; weights that are no bf16 are
// decoded, then rounded. Sums are 32-bit.
#include "output.cuh"

namespace bf16 {

constexpr int panelRows = 64, step = 64;
/// Half a bank cycle beyond the row, so that 8 rows of a matrix lie in different banks.
constexpr int pitch = step + 8;
constexpr int chunks = step / 8;

/// One warp's share is `rowTiles` × `columnTiles` of 16 × 8 of each panel; `warpColumns` warps stand side by side.
template <int rowTiles, int columnTiles, int warpColumns>
__device__ __forceinline__ void product(const moe_product_arguments &p) {
  constexpr int tileRows = 8 / warpColumns * rowTiles * 16;
  __shared__ float tables[2][tableSize];
  __shared__ __align__(16) unsigned short inputs[tileRows][pitch];
  __shared__ __align__(16) unsigned short weights[2 * panelRows][pitch];
  if (p.tiles[blockIdx.x].first_row >= p.tiles[blockIdx.x].end_row) return;
  const Panels<panelRows> panels(p, tables);
  const int thread = threadIdx.x, lane = thread & 31, warp = thread >> 5;
  const int columns = panels.columns();
  const int warpRow = warp / warpColumns * rowTiles * 16, warpColumn = warp % warpColumns * columnTiles * 8;
  const bool isBF16 = panels.matrix(0).isBF16() && panels.matrix(1).isBF16();
  float sums[2][rowTiles][columnTiles][4] = {};
  __syncthreads();
  for (int start = 0; start < columns; start += step) {
    for (int i = thread; i < tileRows * chunks; i += 256) {
      const int row = i / chunks, column = i % chunks * 8, inputRow = panels.inputRow(row);
      uint4 words = {0, 0, 0, 0};
      if (inputRow >= 0 && start + column < columns) {
        const long long place = (long long)inputRow * columns + start + column;
        if (p.input_number == MOE_BF16) {
          words = *(const uint4 *)((const unsigned short *)p.input + place);
        } else {
          float values[8];
          numbers8(p.input, p.input_number, place, values);
          words = packed8(values);
        }
      }
      *(uint4 *)&inputs[row][column] = words;
    }
    if (isBF16) {
      uint4 words[2 * panelRows * chunks / 256];
#pragma unroll
      for (int i = 0; i < 2 * panelRows * chunks / 256; i++) {
        const int index = thread + i * 256, row = index / chunks, column = start + index % chunks * 8;
        const int panel = row / panelRows, n = panels.firstRow(panel) + row % panelRows;
        words[i] = {0, 0, 0, 0};
        if (n < p.up.rows && column < columns) words[i] = panels.matrix(panel).words(n, column);
      }
#pragma unroll
      for (int i = 0; i < 2 * panelRows * chunks / 256; i++) {
        const int index = thread + i * 256;
        *(uint4 *)&weights[index / chunks][index % chunks * 8] = words[i];
      }
    } else {
      for (int i = thread; i < 2 * panelRows * chunks; i += 256) {
        const int row = i / chunks, column = i % chunks * 8;
        float values[8];
        panels.weights(row / panelRows, row % panelRows, start + column, values);
        *(uint4 *)&weights[row][column] = packed8(values);
      }
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < step; k += 16) {
      unsigned a[rowTiles][4];
#pragma unroll
      for (int i = 0; i < rowTiles; i++)
        loadMatrices(a[i], &inputs[warpRow + i * 16 + (lane & 15)][k + (lane >> 4) * 8]);
#pragma unroll
      for (int panel = 0; panel < 2; panel++)
#pragma unroll
        for (int j = 0; j < columnTiles; j++) {
          unsigned b[2];
          loadMatrices(b, &weights[panel * panelRows + warpColumn + j * 8 + (lane & 7)][k + (lane >> 3 & 1) * 8]);
#pragma unroll
          for (int i = 0; i < rowTiles; i++) multiply(sums[panel][i][j], a[i], b);
        }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < rowTiles; i++)
#pragma unroll
    for (int j = 0; j < columnTiles; j++)
#pragma unroll
      for (int e = 0; e < 4; e++)
        finish(panels, warpRow + i * 16 + (lane >> 2) + (e >> 1) * 8, warpColumn + j * 8 + (lane & 3) * 2 + (e & 1),
               sums[0][i][j][e], sums[1][i][j][e]);
}

}  // namespace bf16

/// Grid: [tiles of 64 rows, panels], 256 threads.
extern "C" __global__ void __launch_bounds__(256) moe_product_bf16_64(const __grid_constant__ moe_product_arguments p) {
  bf16::product<2, 2, 4>(p);
}

/// Grid: [tiles of 16 rows, panels], 256 threads.
extern "C" __global__ void __launch_bounds__(256) moe_product_bf16_16(const __grid_constant__ moe_product_arguments p) {
  bf16::product<1, 1, 8>(p);
}
