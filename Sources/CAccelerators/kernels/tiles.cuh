// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The pieces of a grouped product, in the order in which blocks take them: expert by expert, in each the rows of at
// most `panel` tiles at a time, so that what runs together shares weights and rows in L2.
#pragma once
#include "common.cuh"
#include "moe_hopper.h"
#include "weights.cuh"

/// Most rows of a tile.
#ifndef TOKENS
#define TOKENS 128
#endif
/// Rows of a box and of a part of the epilogue.
#ifndef STEP
#define STEP 32
#endif
/// Blocks that take tiles of the same weights and share their copies: 1 or 2.
#ifndef CLUSTER
#define CLUSTER 1
#endif

constexpr int maxExperts = MOE_HOPPER_EXPERTS;

struct alignas(16) Tile {
  int expert;
  int first;  // of the sorted rows
  int count;  // rows, from 1 to `TOKENS`
  int block;  // of the weights' rows
};

/// Where experts begin, in shared memory: their rows, and their tiles of rows, of which a cluster takes `CLUSTER` together.
struct TileTable {
  int rows[maxExperts + 1];
  int tiles[maxExperts + 1];

  __device__ __forceinline__ int tilesOf(int expert) const { return ceilDivide(rows[expert + 1] - rows[expert], TOKENS * CLUSTER); }
  /// Every thread of the block calls it; `offsets` are the rows of [experts + 1].
  __device__ void fill(const int* offsets, int experts) {
    for (int i = threadIdx.x; i <= experts; i += blockDim.x) rows[i] = offsets[i];
    __syncthreads();
    if (threadIdx.x < 32) {
      const int run = ceilDivide(experts, 32), first = lane() * run, last = smaller(first + run, experts);
      int own = 0;
      for (int i = first; i < last; ++i) own += tilesOf(i);
      int sum = own;
#pragma unroll
      for (int apart = 1; apart < 32; apart *= 2) {
        const int other = __shfl_up_sync(~0u, sum, apart);
        if (lane() >= apart) sum += other;
      }
      if (lane() == 31) tiles[experts] = sum;
      sum -= own;
      for (int i = first; i < last; ++i) {
        tiles[i] = sum;
        sum += tilesOf(i);
      }
    }
    __syncthreads();
  }
};

/// An expert's rows lie in as few tiles as hold them, and its tiles in as few panels, shared out evenly. A block of a cluster that
/// would have no row repeats the expert's last.
struct Tiles {
  static constexpr int panel = 16 / CLUSTER;
  /// Tiles of a block from which on rows fill all of an expert's tiles but its last: products take them by 16 or more, and those
  /// that are none take time, too. With fewer tiles, what some blocks do last counts more. Products of bf16 take rows by 8.
  static constexpr int many = 7;
  const TileTable& table;
  int experts, blocks;
  bool areFilled;
  int expert = 0;

  __device__ Tiles(const TileTable& table, int experts, int blocks)
      : table(table), experts(experts), blocks(blocks), areFilled(WEIGHTS != BF16 && count() >= many * (int)gridDim.x) {}
  __device__ int count() const { return table.tiles[experts] * blocks; }
  /// Tile `index` of a block of the cluster; indices may only grow. A tile without rows: there are no more.
  __device__ Tile find(int index, int blockInCluster) {
    const int ofRows = index / blocks;
    if (ofRows >= table.tiles[experts]) return Tile{};
    // The last expert that begins there or before has that tile.
    for (int end = experts; end - expert > 1;) {
      const int middle = (expert + end) >> 1;
      (table.tiles[middle] <= ofRows ? expert : end) = middle;
    }
    const int before = table.tiles[expert], tilesHere = table.tiles[expert + 1] - before;
    const int begin = table.rows[expert], total = table.rows[expert + 1] - begin;
    const int most = ceilDivide(tilesHere, ceilDivide(tilesHere, panel)), perPanel = most * blocks;
    const int local = index - before * blocks, panels = divide(local, perPanel);
    const int start = panels * most, rest = local - panels * perPanel, width = smaller(most, tilesHere - start);
    const int shares = tilesHere * CLUSTER, share = areFilled ? TOKENS : divide(total + shares - 1, shares);
    const int block = divide(rest, width);
    const int row = smaller(((start + rest - block * width) * CLUSTER + blockInCluster) * share, total - 1);
    return Tile{expert, begin + row, smaller(share, total - row), block};
  }
};
