// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The copying warpgroup of a grouped product: weights as boxes; rows gathered through the sort's list by 16 bytes, or as
// boxes for down.
#pragma once
#include "dealer.cuh"

__device__ __forceinline__ int stepsOf(const Sources& p) { return ceilDivide(p.columns, columnsPerStage); }

/// Stages whose gathered rows a thread has under way when it makes one known: one more where memory is the limit.
constexpr int ahead = WEIGHTS == BF16 && TOKENS <= 64 ? 2 : 1;
static_assert(STAGES > ahead, "stages become known when later ones are begun");
/// A stage that is full before any is released.
constexpr int surelyFull = DOWN ? STAGES - 1 : STAGES - 1 - ahead;

/// A stage's weights, by one thread. Each block of a cluster copies its part to all.
__device__ __forceinline__ void copyWeights(const TensorMap& map, const Memory& memory, const Position& at, int step, const Tile& tile) {
  barrier::arriveExpecting(memory.full(at.stage), weightTileBytes);
  constexpr bool tiled = TILED;
  constexpr int groups = tileRows / 16 / CLUSTER, bytes = weightTileBytes / CLUSTER;
  const int x = tiled ? 0 : step * columnsPerStage, y = tiled ? step : 0, part = blockInCluster();
  const int group = tile.block * (tileRows / 16) + part * groups;
  if constexpr (CLUSTER == 1)
    copy::box5(memory.weights(at.stage), &map, x, y, group, tile.expert, memory.full(at.stage));
  else
    copy::box5(memory.weights(at.stage) + part * bytes, &map, x, y, group, tile.expert, memory.full(at.stage), (1 << CLUSTER) - 1);
}

/// Calls `stage(tile, step, at)` for each stage of this block's tiles, once it is empty, and `begin(tile)` before those of a tile.
template <typename Begin, typename Stage>
__device__ __forceinline__ void forEachStage(const Memory& memory, int steps, Begin begin, Stage stage) {
  Position at;
  TileTaker taker{memory};
  for (Tile tile = taker.next(); tile.count > 0; tile = taker.next()) {
    begin(tile);
    for (int step = 0; step < steps; ++step, at.advance()) {
      memory.waitUntilEmpty(at);
      stage(tile, step, at);
    }
  }
}

/// Down's weights, which may come before the rows are there.
__device__ __forceinline__ void copyWeights(const TensorMap& map, const Memory& memory, TileDealer dealer, int steps) {
  dealer.begin();
  forEachStage(memory, steps, [](const Tile&) {}, [&](const Tile& tile, int step, const Position& at) {
    copyWeights(map, memory, at, step, tile);
    dealer.stageBegun(step, steps);
  });
}

/// Down's rows lie one after the other.
__device__ __forceinline__ void copyRows(const TensorMap& map, const Memory& memory, int steps) {
  forEachStage(memory, steps, [](const Tile&) {}, [&](const Tile& tile, int step, const Position& at) {
    const int boxes = ceilDivide(tile.count, STEP);
    barrier::arriveExpecting(memory.full(at.stage), tokenParts * boxes * STEP * operandWidth);
    for (int part = 0; part < tokenParts; ++part)
      for (int box = 0; box < boxes; ++box)
        copy::box2(memory.tokens(at.stage) + part * tokenPartBytes + box * STEP * operandWidth, &map,
                   step * columnsPerStage + part * (operandWidth / tokenBytes), tile.first + box * STEP, memory.full(at.stage));
  });
}

/// The scales of e4m3: a thread fetches those of its rows, and two threads one of the weights each.
struct ScaleCopier {
  static constexpr int threads = DOWN ? scaleCopiers : copiers, count = tokensAreScaled ? (TOKENS + threads - 1) / threads : 0;
  const Sources& p;
  long long expertBytes;
  int width;

  /// Where this thread's rows and the tile's weights have their scales.
  struct Place {
    const float *row[count + 1], *weights;
  };
  __device__ __forceinline__ static int thread() { return threadIdx.x & (threads - 1); }

  template <typename Row> __device__ __forceinline__ Place find(const Tile& tile, Row row) const {
    Place place;
    // Of gate or up, or of one half of down's tile: both halves may be in the last block.
    const int blocks = ceilDivide(width, scaleBlock), second = thread() & 1;
    const int block = paired ? tile.block + second * blocks : smaller(tile.block * 2 + second, blocks - 1);
    place.weights = (const float*)(p.weightScales + tile.expert * expertBytes) + block * scalePitch(p.columns);
#pragma unroll
    for (int i = 0; i < count; ++i)
      place.row[i] = p.inputScales + (long long)row(thread() + i * threads) * ceilDivide(p.columns, scaleBlock);
    return place;
  }
  __device__ __forceinline__ void begin(const Memory& memory, const Place& place, int step, int stage) const {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = thread() + i * threads;
      if (row >= TOKENS) break;
      copy::word(memory.scales(stage) + row * 4, place.row[i] + step);
    }
    if (thread() < 2) copy::word(memory.scales(stage) + (TOKENS + thread()) * 4, place.weights + step);
  }
};

/// Makes stages known when this thread's copies into them have landed: `ahead` later ones are under way by then.
struct Lander {
  const Memory& memory;
  Position landed;
  int begun = 0;

  __device__ __forceinline__ void stageBegun() {
    copy::commit();
    if (++begun <= ahead) return;
    copy::wait<ahead>();
    one();
  }
  __device__ __forceinline__ void finish() {
    copy::wait<0>();
    for (int i = smaller(begun, ahead); i > 0; --i) one();
  }

 private:
  __device__ __forceinline__ void one() {
    copy::fenceEnginesShared();
    barrier::arrive(memory.full(landed.stage));
    landed.advance();
  }
};

/// The scales of down's rows, by `scaleCopiers` threads.
__device__ __forceinline__ void copyScales(const ScaleCopier& scales, const Memory& memory, int steps) {
  ScaleCopier::Place place;
  const auto begin = [&](const Tile& tile) {
    place = scales.find(tile, [&](int row) { return tile.first + smaller(row, tile.count - 1); });
  };
  forEachStage(memory, steps, begin, [&](const Tile&, int step, const Position& at) {
    scales.begin(memory, place, step, at.stage);
    copy::arriveWhenLanded(memory.full(at.stage));
  });
}

/// Each of `gatherers` threads copies 16 bytes of every 8th or 16th row; rows beyond the tile repeat its last one, up to a
/// multiple of 64 (a branch for each copy costs more) or, with e4m3 in blocks, of 16: there L2 is the limit.
__device__ __forceinline__ void gatherRows(
  const TensorMap& map, const Sources& p, const ScaleCopier& scales, const Memory& memory, TileDealer dealer) {
  constexpr int apart = gatherers / 8, count = (TOKENS + apart - 1) / apart;
  constexpr int breakEvery = tokensAreScaled ? 1 : 4;
  const int chunk = threadIdx.x & 7, first = threadIdx.x >> 3;
  const u32 swizzled = first * operandWidth + ((chunk ^ (first & 7)) << 4);
  u32 source[count];  // in bytes
  ScaleCopier::Place place;
  Lander landing{memory};
  const int steps = stepsOf(p);
  if (threadIdx.x == 0) dealer.begin();
  const auto begin = [&](const Tile& tile) {
    const auto token = [&](int row) { return divide(p.rows[tile.first + smaller(row, tile.count - 1)], p.topK); };
#pragma unroll
    for (int i = 0; i < count; ++i) source[i] = (u32)token(first + i * apart) * (p.columns * tokenBytes) + chunk * 16;
    if (tokensAreScaled) place = scales.find(tile, token);
  };
  forEachStage(memory, steps, begin, [&](const Tile& tile, int step, const Position& at) {
    if (threadIdx.x == 0) {
      copyWeights(map, memory, at, step, tile);
      dealer.stageBegun(step, steps);
    }
#pragma unroll
    for (int part = 0; part < tokenParts; ++part) {
      const int offset = (step * tokenParts + part) * operandWidth;
      const bool inside = offset + chunk * 16 < p.columns * tokenBytes;
      const u32 destination = memory.tokens(at.stage) + part * tokenPartBytes + swizzled;
      const u8* input = p.input + offset;
#pragma unroll
      for (int i = 0; i < count; ++i) {
        if (i % breakEvery == 0 && i * apart >= tile.count) break;
        copy::chunk(destination + i * apart * operandWidth, input + source[i], inside);
      }
    }
    if (tokensAreScaled) scales.begin(memory, place, step, at.stage);
    if (rowsAreLoaded)
      copy::arriveWhenLanded(memory.full(at.stage));
    else
      landing.stageBegun();
  });
  landing.finish();
}
