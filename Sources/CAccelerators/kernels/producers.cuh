// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The copying warpgroup of a grouped product: weights as boxes; rows gathered through the sort's list by 16 bytes, or as
// boxes for down.
#pragma once
#include "ring.cuh"

/// What is copied.
using Sources = moe_hopper_sources;
__device__ __forceinline__ int stepsOf(const Sources& p) { return ceilDivide(p.columns, columnsPerStage); }

/// Stages whose rows or scales a thread has under way before it makes the first of them known.
constexpr int ahead = 2;
static_assert(STAGES > ahead, "stages become known when later ones are begun");
/// A stage that is full before any is released.
constexpr int surelyFull = DOWN && !tokensAreScaled ? STAGES - 1 : STAGES - 1 - ahead;

/// A stage's weights, by one thread, and with the first stage's the tile.
__device__ __forceinline__ void copyWeights(const TensorMap& map, const Memory& memory, const Position& at, int step, const Tile& tile) {
  if (step == 0) memory.tiles[at.stage] = tile;
  barrier::arriveExpecting(memory.full(at.stage), weightTileBytes);
  constexpr bool tiled = TILED;
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

/// The scales of e4m3: a thread fetches those of its rows and of the weights, and multiplies them when they are there.
struct ScaleCopier {
  static constexpr int threads = DOWN ? scaleCopiers : copiers, count = tokensAreScaled ? (TOKENS + threads - 1) / threads : 0;
  const Sources& p;
  long long expertBytes;
  int width;

  /// Where this thread's rows and the tile's weights have their scales.
  struct Place {
    const float* row[count + 1];
    const float *low, *high;
  };
  __device__ __forceinline__ static int thread() { return threadIdx.x & (threads - 1); }

  template <typename Row> __device__ __forceinline__ Place find(const Tile& tile, Row row) const {
    Place place;
    const int blocks = ceilDivide(width, scaleBlock), pitch = scalePitch(p.columns);
    const float* first = (const float*)(p.weightScales + tile.expert * expertBytes);
    const int block = paired ? tile.block : tile.block * 2;
    place.low = first + block * pitch;
    place.high = first + (paired ? block + blocks : smaller(block + 1, blocks - 1)) * pitch;
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
      const u32 factors = memory.factors(stage) + row * 16;
      copy::word(factors, place.row[i] + step);
      copy::word(factors + 4, place.low + step);
      copy::word(factors + 8, place.high + step);
    }
  }
  /// The products of two neighbours lie together.
  __device__ __forceinline__ static void land(const Memory& memory, int stage) {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = thread() + i * threads;
      if (row >= TOKENS) break;
      const Words factors = loadShared(memory.factors(stage) + row * 16);
      const float own = __uint_as_float(factors.w[0]);
      const u32 place = memory.scales(stage) + (row >> 1) * 16 + (row & 1) * 4;
      storeShared(place, own * __uint_as_float(factors.w[1]));
      storeShared(place + 8, own * __uint_as_float(factors.w[2]));
    }
  }
};

/// Makes stages known when this thread's copies into them have landed: `ahead` later ones are under way by then.
template <typename Land> struct Lander {
  Land land;
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
    land(landed.stage);
    landed.advance();
  }
};
template <typename Land> __device__ __forceinline__ Lander<Land> lander(Land land) { return {land}; }

/// The scales of down's rows, by `scaleCopiers` threads.
__device__ __forceinline__ void copyScales(const ScaleCopier& scales, const Memory& memory, const Tiles& tiles, int steps) {
  ScaleCopier::Place place;
  auto landing = lander([&](int stage) {
    ScaleCopier::land(memory, stage);
    barrier::arrive(memory.full(stage));
  });
  const auto begin = [&](const Tile& tile) {
    place = scales.find(tile, [&](int row) { return tile.first + smaller(row, tile.count - 1); });
  };
  forEachStage(memory, tiles, steps, begin, [&](const Tile&, int step, const Position& at) {
    scales.begin(memory, place, step, at.stage);
    landing.stageBegun();
  });
  landing.finish();
}

/// Each of `gatherers` threads copies 16 bytes of every 8th or 16th row; rows beyond the tile repeat its last one, up to a
/// multiple of 64 (a branch for each copy costs more).
__device__ __forceinline__ void gatherRows(
  const TensorMap& map, const Sources& p, const ScaleCopier& scales, const Memory& memory, const Tiles& tiles) {
  constexpr int apart = gatherers / 8, count = (TOKENS + apart - 1) / apart;
  const int chunk = threadIdx.x & 7, first = threadIdx.x >> 3;
  const u32 swizzled = first * operandWidth + ((chunk ^ (first & 7)) << 4);
  u32 source[count];  // in bytes
  ScaleCopier::Place place;
  auto landing = lander([&](int stage) {
    if (tokensAreScaled) ScaleCopier::land(memory, stage);
    copy::fenceEnginesShared();
    barrier::arrive(memory.full(stage));
  });
  const auto begin = [&](const Tile& tile) {
    const auto token = [&](int row) { return divide(p.rows[tile.first + smaller(row, tile.count - 1)], p.topK); };
#pragma unroll
    for (int i = 0; i < count; ++i) source[i] = (u32)token(first + i * apart) * (p.columns * tokenBytes) + chunk * 16;
    if (tokensAreScaled) place = scales.find(tile, token);
  };
  forEachStage(memory, tiles, stepsOf(p), begin, [&](const Tile& tile, int step, const Position& at) {
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
    if (tokensAreScaled) scales.begin(memory, place, step, at.stage);
    if (rowsAreLoaded)
      copy::arriveLanded(memory.full(at.stage));
    else
      landing.stageBegun();
  });
  landing.finish();
}
