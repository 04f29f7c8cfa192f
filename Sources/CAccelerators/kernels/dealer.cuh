// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Which tiles a block takes: its first by its number, then whichever is next when it needs one. So tiles are begun in their
// order, and those that share weights or rows, which are neighbours, at about the same time, while L2 has what they share.
#pragma once
#include "ring.cuh"

/// A block's place in its cluster.
__device__ __forceinline__ int blockInCluster() { return CLUSTER == 1 ? 0 : blockIdx.x % CLUSTER; }

/// Deals tiles to the threads of a block: one thread of it does, which copies weights; of a cluster that of the first block.
struct TileDealer {
  const Memory& memory;
  Tiles tiles;
  /// How many tiles all blocks have drawn beyond their first.
  u32* drawn;
  u32 number = 0;
  int dealt = 0;

  __device__ __forceinline__ void begin() {
    if (blockInCluster() == 0) deal(blockIdx.x / CLUSTER);
  }

  /// Of a tile's last stages: the number of the next is on its way while they are copied.
  __device__ __forceinline__ void stageBegun(int step, int steps) {
    if (blockInCluster() != 0) return;
    if (step == (steps > stagesAhead ? steps - stagesAhead : 0)) {
      // Another launch of down just before this one may still draw.
      if (DOWN && dealt == 1) barrier::waitForPreviousKernel();
      asm volatile("atom.relaxed.gpu.global.add.u32 %0, [%1], 1;" : "=r"(number) : "l"(drawn) : "memory");
    }
    if (step < steps - 1) return;
    deal(gridDim.x / CLUSTER + number);
    // Each block draws until there are no more, which makes as many as there are tiles.
    if (number == tiles.count() - 1) asm volatile("st.relaxed.gpu.global.u32 [%0], 0;" ::"l"(drawn) : "memory");
  }

 private:
  static constexpr int stagesAhead = 4;

  __device__ __forceinline__ void deal(int index) {
    const int slot = dealt++ % tileSlots;
    if constexpr (CLUSTER == 1) {
      memory.tiles[slot] = tiles.find(index, 0);
      barrier::arrive(memory.dealt(slot));
    } else {
#pragma unroll
      for (int block = 0; block < CLUSTER; ++block) {
        const Tile tile = tiles.find(index, block);
        const u32 place = barrier::inBlock(sharedAddress(&memory.tiles[slot]), block);
        asm volatile("st.shared::cluster.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(place), "r"(tile.expert), "r"(tile.first),
                     "r"(tile.count), "r"(tile.block) : "memory");
        barrier::arriveReleasing(barrier::inBlock(memory.dealt(slot), block));
      }
    }
  }
};
