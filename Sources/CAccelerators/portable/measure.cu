// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What a device can do at most: how fast it reads its memory, and how fast its matrix units multiply bf16 that is there.
#include "numbers.cuh"

typedef struct moe_measure_arguments {
  const uint4 *memory;
  long long words;
  unsigned *output;
  int rounds;
} moe_measure_arguments;

/// Reads all words once. Grid: any, 512 threads.
extern "C" __global__ void __launch_bounds__(512) moe_measure_read(const __grid_constant__ moe_measure_arguments p) {
  unsigned sum = 0;
  const long long threads = (long long)gridDim.x * blockDim.x;
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  for (; i + 3 * threads < p.words; i += 4 * threads) {
    uint4 w[4];
#pragma unroll
    for (int j = 0; j < 4; j++) w[j] = __ldcs(p.memory + i + j * threads);
#pragma unroll
    for (int j = 0; j < 4; j++) sum ^= w[j].x ^ w[j].y ^ w[j].z ^ w[j].w;
  }
  for (; i < p.words; i += threads) sum ^= p.memory[i].x;
  // Never true, and unknown to the compiler.
  if (sum == 0x9e3779b9u && p.rounds < 0) p.output[0] = sum;
}
