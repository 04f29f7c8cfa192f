// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// (token, slot) pairs in the order of their experts, those of an expert in their own order: a counting sort in three
// launches, with all counts on the device.
#include "moe_device.h"
#include "warp.cuh"

namespace sort {

constexpr int warps = MOE_SORT_SLOTS / 32;
/// Experts that are counted at a time.
constexpr int window = 256;

/// The expert of this thread's slot; −1 where it is skipped.
__device__ __forceinline__ int expert(const moe_sort_arguments &p, int slot) {
  const int id = slot < p.slots ? p.ids[slot] : -1;
  return id < p.experts ? id : -1;
}

}  // namespace sort

/// Grid: [blocks], 1024 threads.
extern "C" __global__ void moe_sort_count(const __grid_constant__ moe_sort_arguments p) {
  using namespace sort;
  __shared__ int counts[window];
  const int id = expert(p, blockIdx.x * MOE_SORT_SLOTS + threadIdx.x);
  for (int first = 0; first < p.experts; first += window) {
    if (threadIdx.x < window) counts[threadIdx.x] = 0;
    __syncthreads();
    if (id >= first && id < first + window) atomicAdd(&counts[id - first], 1);
    __syncthreads();
    if (threadIdx.x < window && first + (int)threadIdx.x < p.experts)
      p.counts[(long long)blockIdx.x * p.experts + first + threadIdx.x] = counts[threadIdx.x];
    __syncthreads();
  }
}

/// One block of 1024 threads.
extern "C" __global__ void moe_sort_scan(const __grid_constant__ moe_sort_arguments p) {
  __shared__ int rows[1024], tiles[1024];
  const int thread = threadIdx.x;
  int rowsBefore = 0, tilesBefore = 0;
  for (int first = 0; first < p.experts; first += 1024) {
    const int expert = first + thread;
    int count = 0;
    if (expert < p.experts)
      for (int block = 0; block < p.blocks; block++) {
        int &entry = p.counts[(long long)block * p.experts + expert];
        const int own = entry;
        entry = count;
        count += own;
      }
    const int tileCount = (count + p.tile_rows - 1) / p.tile_rows;
    rows[thread] = count;
    tiles[thread] = tileCount;
    __syncthreads();
    for (int distance = 1; distance < 1024; distance *= 2) {
      const int row = thread >= distance ? rows[thread - distance] : 0;
      const int tile = thread >= distance ? tiles[thread - distance] : 0;
      __syncthreads();
      rows[thread] += row;
      tiles[thread] += tile;
      __syncthreads();
    }
    const int end = rowsBefore + rows[thread], firstTile = tilesBefore + tiles[thread] - tileCount;
    if (expert < p.experts) p.offsets[expert + 1] = end;
    for (int tile = 0; tile < tileCount; tile++) {
      const int start = end - count + tile * p.tile_rows;
      p.tiles[firstTile + tile] = {expert, start, min(start + p.tile_rows, end)};
    }
    rowsBefore += rows[1023];
    tilesBefore += tiles[1023];
    __syncthreads();
  }
  if (thread == 0) p.offsets[0] = 0;
  for (int tile = tilesBefore + thread; tile < p.tile_count; tile += 1024) p.tiles[tile] = {0, 0, 0};
}

/// Grid: [blocks], 1024 threads.
extern "C" __global__ void moe_sort_place(const __grid_constant__ moe_sort_arguments p) {
  using namespace sort;
  __shared__ int places[warps][window];
  const int thread = threadIdx.x, warp = thread >> 5, lane = thread & 31;
  const int slot = blockIdx.x * MOE_SORT_SLOTS + thread, id = expert(p, slot);
  int row = -1;
  for (int first = 0; first < p.experts; first += window) {
    for (int i = thread; i < warps * window; i += 1024) places[i / window][i % window] = 0;
    __syncthreads();
    const bool isHere = id >= first && id < first + window;
    const unsigned same = __match_any_sync(allLanes, isHere ? id : -1);
    const int rank = __popc(same & ((1u << lane) - 1));
    if (isHere && rank == 0) places[warp][id - first] = __popc(same);
    __syncthreads();
    if (thread < window && first + thread < p.experts) {
      int next = p.offsets[first + thread] + p.counts[(long long)blockIdx.x * p.experts + first + thread];
      for (int w = 0; w < warps; w++) {
        const int count = places[w][thread];
        places[w][thread] = next;
        next += count;
      }
    }
    __syncthreads();
    if (isHere) row = places[warp][id - first] + rank;
    __syncthreads();
  }
  if (slot >= p.slots) return;
  p.row_of_slot[slot] = row;
  if (row >= 0) p.slot_of_row[row] = slot;
}
