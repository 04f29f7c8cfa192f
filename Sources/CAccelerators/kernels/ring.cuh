// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Shared memory of a grouped product: a ring of stages, each some columns of a tile's tokens and weight rows. A stage is
// full when all that copy into it have arrived, and empty when both warpgroups have multiplied it.
#pragma once
#include "barrier.cuh"
#include "copy.cuh"
#include "tiles.cuh"
#include "weights.cuh"

#ifndef DOWN
#define DOWN 0
#endif
#ifndef GATED
#define GATED 1
#endif
#ifndef STAGES
#define STAGES 4
#endif

/// Weight rows of a tile.
constexpr int tileRows = 256;
/// Bytes of an operand's row as the tensor cores take it; tokens have one or two such parts in a stage.
constexpr int operandWidth = 128;
constexpr int columnsPerStage = WEIGHTS == BF16 ? 64 : 128;
constexpr int tokenParts = columnsPerStage * tokenBytes / operandWidth;
constexpr int tokenPartBytes = TOKENS * operandWidth;
constexpr int weightTileBytes = TILED ? tileRows / 8 * codes::tileBytes : tileRows * operandWidth;
constexpr int stageBytes = weightTileBytes + tokenParts * tokenPartBytes;
static_assert(tokenPartBytes % 1024 == 0 && weightTileBytes % 1024 == 0, "operands begin at a group of 8 rows");
/// Pairs of gate and up give one output.
constexpr bool paired = !DOWN && GATED;
constexpr bool tokensAreScaled = WEIGHTS == E4M3_BLOCK;
/// Behind the stages: for each stage the tokens' scales, two of the weights, and room for 16 bytes to be a unit.
constexpr int scaleBytes = tokensAreScaled ? (TOKENS + 4) * 4 : 0;

/// Whether all rows are read by threads, never by the tensor cores themselves: then their copies arrive by themselves.
constexpr bool rowsAreLoaded = TILED && TOKENS <= 16;

/// Threads that copy: one warpgroup.
constexpr int copiers = 128;
/// Of those, the ones that gather rows.
constexpr int gatherers = rowsAreLoaded ? 64 : copiers;
/// Of those, the ones that copy the scales of down's rows.
constexpr int scaleCopiers = 64;
/// Warps that release a stage.
constexpr int releasers = 8;
/// What arrives for a full stage.
constexpr int arrivals = DOWN ? 2 + (tokensAreScaled ? scaleCopiers : 0) : 1 + gatherers;

struct Barriers {
  u64 full[STAGES], empty[STAGES];

  __device__ void initialize() {
    for (int i = 0; i < STAGES; ++i) {
      barrier::initialize(sharedAddress(&full[i]), arrivals);
      barrier::initialize(sharedAddress(&empty[i]), releasers);
    }
    barrier::fenceInitialization();
  }
};

/// Where a thread is in the ring.
struct Position {
  int stage = 0;
  u32 phase = 0;
  __device__ void advance() {
    if (++stage == STAGES) {
      stage = 0;
      phase ^= 1;
    }
  }
};

/// A tile on its way from the copying thread to those that multiply, with the tile's first stage.
using TileSlots = Tile[STAGES];
/// With many scaled tokens, who multiplies finds it again: the compiler orders the rest of the loop better then.
constexpr bool tilesAreHandedOn = !(tokensAreScaled && TOKENS > 64);

struct Memory {
  u32 stages, barriers;
  TileSlots& tiles;
  __device__ u32 weights(int stage) const { return stages + stage * stageBytes; }
  __device__ u32 tokens(int stage) const { return weights(stage) + weightTileBytes; }
  __device__ u32 scales(int stage) const { return stages + STAGES * stageBytes + stage * scaleBytes; }
  __device__ u32 buffers() const { return scales(STAGES); }
  __device__ u32 full(int stage) const { return barriers + stage * 8; }
  __device__ u32 empty(int stage) const { return barriers + (STAGES + stage) * 8; }

  __device__ void waitUntilEmpty(const Position& at) const { barrier::wait(empty(at.stage), at.phase ^ 1); }
  __device__ void waitUntilFull(const Position& at) const { barrier::wait(full(at.stage), at.phase); }
  /// One lane for each warp counts.
  __device__ void release(int stage) const {
    if (lane() == 0) barrier::arrive(empty(stage));
  }
};
