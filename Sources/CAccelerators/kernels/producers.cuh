// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The copying warpgroup of a grouped product: weights as boxes; rows gathered through the sort's list by 16 bytes, or as
// boxes for down.
#pragma once
#include "ring.cuh"

/// What is copied.
struct Sources {
  const u8* input;           // [tokens, columns] bf16 or e4m3, gathered (not for down)
  const float* inputScales;  // e4m3: [tokens or, for down, sorted rows, ceil(columns / 128)]
  const int* rows;           // [pairs]: the pair of each sorted row
  int topK, columns;

  __device__ int steps() const { return ceilDivide(columns, columnsPerStage); }
};

/// Stages whose rows a gathering thread has under way before it makes the first of them known.
constexpr int ahead = 2;
static_assert(STAGES > ahead, "stages become known when later ones are begun");
/// A stage that is full before any is released.
constexpr int surelyFull = DOWN ? STAGES - 1 : STAGES - 1 - ahead;

/// A stage's weights, by one thread.
__device__ __forceinline__ void copyWeights(const TensorMap& map, const Memory& memory, const Position& at, int step, const Tile& tile) {
  barrier::arriveExpecting(memory.full(at.stage), weightTileBytes);
  constexpr bool tiled = WEIGHTS == MXFP4;
  copy::box5(memory.weights(at.stage), &map, tiled ? 0 : step * columnsPerStage, tiled ? step : 0, tile.block * (tileRows / 16),
             tile.expert, memory.full(at.stage));
}

/// Calls `stage(tile, step, at)` for each stage of this block's tiles, once it is empty, and `begin(tile)` before those of a tile.
template <typename Begin, typename Stage>
__device__ __forceinline__ void forEachStage(const Memory& memory, Tiles tiles, int steps, Begin begin, Stage stage) {
  Position at;
  Tile tile;
  for (int index = firstTile(); tiles.find(index, tile); index += tileStride()) {
    begin(tile);
    for (int step = 0; step < steps; ++step, at.advance()) {
      memory.waitUntilEmpty(at);
      stage(tile, step, at);
    }
  }
}

/// Down's weights, which may come before the rows are there.
__device__ __forceinline__ void copyWeights(const TensorMap& map, const Memory& memory, const Tiles& tiles, int steps) {
  forEachStage(memory, tiles, steps, [](const Tile&) {}, [&](const Tile& tile, int step, const Position& at) {
    copyWeights(map, memory, at, step, tile);
  });
}

/// Down's rows lie one after the other.
__device__ __forceinline__ void copyRows(const TensorMap& map, const Memory& memory, const Tiles& tiles, int steps) {
  forEachStage(memory, tiles, steps, [](const Tile&) {}, [&](const Tile& tile, int step, const Position& at) {
    const int boxes = ceilDivide(tile.count, STEP);
    barrier::arriveExpecting(memory.full(at.stage), tokenParts * boxes * STEP * operandWidth);
    for (int part = 0; part < tokenParts; ++part)
      for (int box = 0; box < boxes; ++box)
        copy::box2(memory.tokens(at.stage) + part * tokenPartBytes + box * STEP * operandWidth, &map,
                   step * columnsPerStage + part * (operandWidth / tokenBytes), tile.first + box * STEP, memory.full(at.stage));
  });
}

/// The scales of down's rows; they arrive by themselves. `thread` of `scaleCopiers`.
__device__ __forceinline__ void copyRowScales(const Sources& p, const Memory& memory, const Tiles& tiles, int thread) {
  const int blocks = ceilDivide(p.columns, scaleBlock);
  forEachStage(memory, tiles, p.steps(), [](const Tile&) {}, [&](const Tile& tile, int step, const Position& at) {
    for (int row = thread; row < tile.count; row += scaleCopiers)
      copy::word(memory.tokenScales(at.stage) + row * 4, p.inputScales + (long long)(tile.first + row) * blocks + step);
    copy::arriveLanded(memory.full(at.stage));
  });
}

/// Each thread copies 16 bytes of every 16th row; rows beyond the tile repeat its last one, up to a multiple of 64
/// (a branch for each copy costs more). It has the copies of `ahead` stages under way, and makes a stage known when its own
/// have landed and can be seen by the tensor cores.
__device__ __forceinline__ void gatherRows(const TensorMap& map, const Sources& p, const Memory& memory, const Tiles& tiles) {
  constexpr int apart = copiers / 8, count = (TOKENS + apart - 1) / apart;
  constexpr int scaleCount = tokensAreScaled ? (TOKENS + copiers - 1) / copiers : 0;
  const int chunk = threadIdx.x & 7, first = threadIdx.x >> 3, blocks = ceilDivide(p.columns, scaleBlock);
  const u32 swizzled = first * operandWidth + ((chunk ^ (first & 7)) << 4);
  u32 source[count];  // in bytes
  const float* scales[scaleCount + 1];
  Position landed;
  int begun = 0;
  const auto land = [&] {
    copy::fenceEnginesShared();
    barrier::arrive(memory.full(landed.stage));
    landed.advance();
  };
  const auto begin = [&](const Tile& tile) {
    const auto token = [&](int row) {
      row = smaller(row, tile.count - 1);
      return row < 0 ? 0 : divide(p.rows[tile.first + row], p.topK);
    };
#pragma unroll
    for (int i = 0; i < count; ++i) source[i] = (u32)token(first + i * apart) * (p.columns * tokenBytes) + chunk * 16;
#pragma unroll
    for (int i = 0; i < scaleCount; ++i)
      scales[i] = p.inputScales + (long long)token(threadIdx.x + i * copiers) * blocks;
  };
  forEachStage(memory, tiles, p.steps(), begin, [&](const Tile& tile, int step, const Position& at) {
    if (threadIdx.x == 0) copyWeights(map, memory, at, step, tile);
#pragma unroll
    for (int part = 0; part < tokenParts; ++part) {
      const int offset = (step * tokenParts + part) * operandWidth;
      const bool inside = offset + chunk * 16 < p.columns * tokenBytes;
      const u32 destination = memory.tokens(at.stage) + part * tokenPartBytes + swizzled;
      const u8* input = p.input + offset;
#pragma unroll
      for (int i = 0; i < count; ++i) {
        if (i % 4 == 0 && i * apart >= tile.count) break;
        copy::chunk(destination + i * apart * operandWidth, input + source[i], inside);
      }
    }
#pragma unroll
    for (int i = 0; i < scaleCount; ++i) {
      const int row = threadIdx.x + i * copiers;
      if (row < TOKENS) copy::word(memory.tokenScales(at.stage) + row * 4, scales[i] + step);
    }
    copy::commit();
    if (++begun > ahead) {
      copy::wait<ahead>();
      land();
    }
  });
  copy::wait<0>();
  for (int i = smaller(begun, ahead); i > 0; --i) land();
}
