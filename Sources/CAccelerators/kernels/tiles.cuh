// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The pieces of a grouped product, in the order in which blocks take them: expert by expert, in each the rows of at
// most `panel` tiles at a time, so that what runs together shares weights and rows in L2.
#pragma once
#include "common.cuh"

struct Tile {
  int expert;
  int first;  // of the sorted rows
  int count;  // rows, at most those of a tile
  int block;  // of the weights' rows
};

struct Tiles {
  static constexpr int panel = 8;
  const int* offsets;  // [experts + 1]
  int experts, rowsPerTile, blocks;
  int expert = 0, before = 0, total = 0, begin = 0;

  __device__ Tiles(const int* offsets, int experts, int rowsPerTile, int blocks)
      : offsets(offsets), experts(experts), rowsPerTile(rowsPerTile), blocks(blocks) {
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
    tile.expert = expert;
    tile.block = rest / width;
    const int row = (start + rest % width) * rowsPerTile;
    tile.first = begin + row;
    tile.count = smaller(rowsPerTile, total - row);
    return true;
  }

 private:
  __device__ int tilesHere() const { return ceilDivide(total, rowsPerTile); }
  __device__ void enter() {
    begin = offsets[expert];
    total = offsets[expert + 1] - begin;
  }
};
