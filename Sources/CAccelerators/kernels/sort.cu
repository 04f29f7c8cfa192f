// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Rows by expert: a stable counting sort of the (token, slot) pairs, in one launch, without atomics on the result.
//
// Every block counts its pairs; the blocks meet; every block then knows where its pairs of each expert go. Pairs keep
// their order, so the result is the same in every run. Pairs without an expert are left out.
#include "barrier.cuh"

constexpr int warps = 8;
constexpr int threads = warps * 32;
constexpr int maxExperts = MOE_HOPPER_EXPERTS;

/// Before `sum[i]`: the sum of what comes earlier; returns the total. One warp.
__device__ __forceinline__ int scan(int* sum, int count) {
  int carry = 0;
  for (int base = 0; base < count; base += 32) {
    const int i = base + lane(), own = i < count ? sum[i] : 0;
    int value = own;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(~0u, value, step);
      if (lane() >= step) value += other;
    }
    if (i < count) sum[i] = carry + value - own;
    carry += __shfl_sync(~0u, value, 31);
  }
  return carry;
}

/// −1 where a pair is left out.
__device__ __forceinline__ int expertOf(const moe_hopper_sort_arguments& p, int pair, int end) {
  const int id = pair < end ? p.ids[pair] : -1;
  return isExpert(id, p.experts) ? id : -1;
}

extern "C" __global__ void __launch_bounds__(threads) experts_sort(const __grid_constant__ moe_hopper_sort_arguments p) {
  __shared__ int next[warps][maxExperts];
  __shared__ int total[maxExperts];
  const int warp = threadIdx.x / 32;
  barrier::waitForPreviousKernel();
  barrier::releaseNextKernel();
  const u32 generation = barrier::generation(p.grid);
  for (int expert = lane(); expert < p.experts; expert += 32) next[warp][expert] = 0;
  __syncwarp();

  // Each warp has a run of pairs of its own: 32 at a time, equal experts found by matching.
  const int perWarp = ceilDivide(ceilDivide(p.pairs, (int)gridDim.x * warps), 32) * 32;
  const int begin = (blockIdx.x * warps + warp) * perWarp, end = smaller(begin + perWarp, p.pairs);
  for (int base = begin; base < end; base += 32) {
    const int i = base + lane(), id = expertOf(p, i, end);
    const u32 equal = __match_any_sync(~0u, id);
    if (id >= 0 && (equal & ((1u << lane()) - 1)) == 0) next[warp][id] += __popc(equal);
    __syncwarp();
  }
  __syncthreads();
  for (int expert = threadIdx.x; expert < p.experts; expert += threads) {
    int sum = 0;
    for (int w = 0; w < warps; ++w) {
      const int own = next[w][expert];
      next[w][expert] = sum;
      sum += own;
    }
    total[expert] = sum;
    if (gridDim.x > 1) p.counts[blockIdx.x * p.experts + expert] = sum;
  }
  __syncthreads();
  if (gridDim.x > 1) {
    if (threadIdx.x == 0) {
      __threadfence();
      barrier::arriveAtGrid(p.grid);
      barrier::waitForGrid(p.grid, generation);
    }
    __syncthreads();
    for (int expert = threadIdx.x; expert < p.experts; expert += threads) {
      int before = 0, all = 0;
#pragma unroll 8
      for (int block = 0; block < gridDim.x; ++block) {
        const int count = __ldcg(p.counts + block * p.experts + expert);
        before += block < blockIdx.x ? count : 0;
        all += count;
      }
      for (int w = 0; w < warps; ++w) next[w][expert] += before;
      total[expert] = all;
    }
    __syncthreads();
  }
  if (warp == 0) {
    const int rows = scan(total, p.experts);
    if (blockIdx.x == 0 && lane() == 0) p.offsets[p.experts] = rows;
  }
  __syncthreads();
  if (blockIdx.x == 0)
    for (int expert = threadIdx.x; expert < p.experts; expert += threads) p.offsets[expert] = total[expert];
  for (int base = begin; base < end; base += 32) {
    const int i = base + lane(), id = expertOf(p, i, end);
    const u32 equal = __match_any_sync(~0u, id), earlier = equal & ((1u << lane()) - 1);
    if (id >= 0) p.rows[total[id] + next[warp][id] + __popc(earlier)] = i;
    __syncwarp();
    if (id >= 0 && earlier == 0) next[warp][id] += __popc(equal);
    __syncwarp();
  }
}
