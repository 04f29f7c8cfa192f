// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The pieces of a grouped product, in the order in which blocks take them: expert by expert, in each the rows of at
// most `panel` tiles at a time, so that what runs together shares weights and rows in L2.
#pragma once
#include "common.cuh"

/// Most rows of a tile.
#ifndef TOKENS
#define TOKENS 128
#endif
/// Rows of a box and of a part of the epilogue.
#ifndef STEP
#define STEP 32
#endif

struct Tile {
  int expert;
  int first;  // of the sorted rows
  int count;  // rows, at most `TOKENS`
  int block;  // of the weights' rows
};

/// An expert's rows are shared out evenly among as few tiles as hold them.
struct Tiles {
  static constexpr int panel = 8;
  const int* offsets;  // [experts + 1]
  int experts, blocks;
  int expert = 0, before = 0, total = 0, begin = 0;

  __device__ Tiles(const int* offsets, int experts, int blocks) : offsets(offsets), experts(experts), blocks(blocks) {
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
    const int panels = divide(local, perPanel), start = panels * panel, rest = local - panels * perPanel;
    const int width = smaller(panel, tilesHere() - start), share = divide(total + tilesHere() - 1, tilesHere());
    tile.block = divide(rest, width);
    const int row = (start + rest - tile.block * width) * share;
    tile.expert = expert;
    tile.first = begin + row;
    tile.count = smaller(share, total - row);
    return true;
  }

 private:
  __device__ int tilesHere() const { return ceilDivide(total, TOKENS); }
  __device__ void enter() {
    begin = offsets[expert];
    total = offsets[expert + 1] - begin;
  }
};

/// A block's tiles are those of index `firstTile()`, and every `tileStride()`th after it.
__device__ __forceinline__ int firstTile() { return blockIdx.x; }
__device__ __forceinline__ int tileStride() { return gridDim.x; }
