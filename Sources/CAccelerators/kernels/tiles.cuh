// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The pieces of a grouped product, in the order in which blocks take them: expert by expert, in each the rows of at
// most `panel` tiles at a time, so that what runs together shares weights and rows in L2.
#pragma once
#include "common.cuh"

#ifndef CLUSTER
#define CLUSTER 1
#endif

struct Tile {
  int expert;
  int first;  // of the sorted rows
  int count;  // rows, at most those of a tile, perhaps none
  int block;  // of the weights' rows
};

/// An expert's rows are shared out evenly among as few tiles as hold them; `CLUSTER` blocks take a tile together, each
/// its share of the rows.
struct Tiles {
  static constexpr int panel = 8 / CLUSTER;
  const int* offsets;  // [experts + 1]
  int experts, rowsPerTile, blocks, member;
  int expert = 0, before = 0, total = 0, begin = 0;

  __device__ Tiles(const int* offsets, int experts, int rowsPerBlock, int blocks)
      : offsets(offsets), experts(experts), rowsPerTile(rowsPerBlock * CLUSTER), blocks(blocks),
        member(blockIdx.x % CLUSTER) {
    enter();
  }
  /// Finds tile `index`; indices may only grow. False: there are no more.
  __device__ bool find(int index, Tile& tile) {
    while (index >= before + tilesHere() * blocks) {
      before += tilesHere() * blocks;
      if (++expert >= experts) return false;
      enter();
    }
    const int local = index - before, perPanel = panel * blocks;
    const int start = local / perPanel * panel, width = smaller(panel, tilesHere() - start), rest = local % perPanel;
    const int share = ceilDivide(total, tilesHere()), own = ceilDivide(share, CLUSTER);
    const int tileBegin = (start + rest % width) * share, row = tileBegin + member * own;
    tile.expert = expert;
    tile.block = rest / width;
    tile.first = begin + row;
    tile.count = smaller(own, smaller(total, tileBegin + share) - row);
    tile.count = tile.count < 0 ? 0 : tile.count;
    return true;
  }

 private:
  __device__ int tilesHere() const { return ceilDivide(total, rowsPerTile); }
  __device__ void enter() {
    begin = offsets[expert];
    total = offsets[expert + 1] - begin;
  }
};

/// A block's tiles are those of index `firstTile()`, and every `tileStride()`th after it.
__device__ __forceinline__ int firstTile() { return blockIdx.x / CLUSTER; }
__device__ __forceinline__ int tileStride() { return gridDim.x / CLUSTER; }
