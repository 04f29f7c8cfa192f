// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The copying warps of the stream.
#pragma once
#include "stream_walk.cuh"

/// A warp, which takes stages in turns with the others. Of a stage lanes 0 and 1 copy 8 weight rows each, 16–23 tokens, 24 and 25
/// scales, 26 the greatest magnitudes of down's rows.
struct Producer {
  /// Of what is no tiles: 8 rows and `CHUNK` bytes to a box.
  const TensorMap &gateUp, &down;
  const StreamArguments& p;
  const TouchedExperts& experts;
  Ring ring;
  u64 policy;
  int warp;
  /// Of the grid, before its blocks meet.
  u32 generation;
  /// [touched experts, tokens] in device memory, where rows have one scale: the greatest of the intermediate.
  const u32* greatest;
  Turn turn = {};

  /// Weights of down fill the ring while the other blocks finish gate and up; then what they wrote follows.
  __device__ void run() {
    forEachStage(Walk(p, experts, false), turn, warp, copyingWarps, [&](const Walk& walk, int index, int chunk) {
      copyWeights(walk, index, chunk);
      copyTokens({index, chunk, ring.stage}, false);
      ring.advance();
    });
    int waiting = 0;
    bool haveMet = false;
    StagePlace own = {};
    forEachStage(Walk(p, experts, true), turn, warp, copyingWarps, [&](const Walk& walk, int index, int chunk) {
      if (!haveMet && waiting == p.stages / copyingWarps) {
        meet(waiting, own);
        haveMet = true;
      }
      if (waiting == ahead && !haveMet) barrier::wait(ring.arrived, 0);
      copyWeights(walk, index, chunk);
      if (haveMet)
        copyTokens({index, chunk, ring.stage}, true);
      else if (waiting++ == lane())
        own = {index, chunk, ring.stage};
      ring.advance();
    });
    if (!haveMet) meet(waiting, own);
  }

 private:
  struct StagePlace {
    int index, chunk, stage;
  };

  /// Waits for the intermediate, and copies what so many stages wait for: a stage for each lane.
  __device__ void meet(int waiting, const StagePlace& own) {
    if (lane() == 0) {
      barrier::waitForGrid(p.grid, generation);
      // All have read whose turn it is.
      if (tokensHaveFactors && blockIdx.x == 0 && warp == 0) p.grid->turn ^= 1;
    }
    __syncwarp();
    copy::fenceEngines();
    if (lane() < waiting) {
      copyGreatest(own);
      for (u32 rest = experts.tokens[own.index]; rest != 0; rest &= rest - 1) copyToken(own, __ffs(rest) - 1, true);
    }
    __syncwarp();
  }

  __device__ void copyTokens(const StagePlace& at, bool isDown) {
    const int token = lane() - 16;
    if (token >= 0 && token < maxTokens && (experts.tokens[at.index] >> token & 1)) copyToken(at, token, isDown);
    if (isDown && lane() == 26) copyGreatest(at);
  }
  __device__ void copyGreatest(const StagePlace& at) {
    if (greatestBytes > 0)
      copy::row(
        ring.greatest(at.stage, p.tokenCount), greatest + at.index * maxTokens, greatestBytes, ring.barrier(fed, at.stage));
  }
  __device__ void copyToken(const StagePlace& at, int token, bool isDown) {
    const int columns = isDown ? p.inner : p.hidden, first = at.chunk * chunkColumns;
    const u16* rows = isDown ? p.intermediate + (long long)at.index * p.tokenCount * p.inner : p.input;
    copy::row(
      ring.tokens(at.stage) + token * tokenPitch, rows + (long long)token * columns + first,
      smaller(chunkColumns, columns - first) * 2, ring.barrier(fed, at.stage));
  }

  __device__ void copyWeights(const Walk& walk, int index, int chunk) {
    const int columns = walk.columns, count = smaller(chunkColumns, columns - chunk * chunkColumns), which = lane();
    const long long expert = experts.expert[index] * p.expertBytes;
    // 8 rows of gate and of up; or of down, and perhaps the next 8.
    const int parts = walk.isDown ? walk.rows / shareRows : 2, row = walk.row + which * (walk.isDown ? shareRows : p.inner);
    const u32 bytes = TILED ? blockCount(count) * tileBytes : shareRows * CHUNK;
    const u32 bytesOfTokens = __popc(experts.tokens[index]) * count * 2;
    const u32 bytesOfScales = tokensHaveFactors ? weightScaleBytes : weightsHaveScales ? scalePitch(count) * 4 : 0;
    const int scaleParts = tokensHaveFactors ? parts : 2;
    const u32 filled = ring.barrier(full), place = ring.weights() + which * (weightStageBytes / 2);
    ring.waitForAllBut(underWay - 1);
    barrier::wait(ring.barrier(empty), ring.phase ^ 1);
    if (which == 0) {
      barrier::arriveExpecting(filled, parts * bytes + scaleParts * bytesOfScales);
      barrier::arriveExpecting(ring.barrier(fed), bytesOfTokens + (walk.isDown ? greatestBytes : 0));
    }
    __syncwarp();
#if TILED
    const u8* weights = (walk.isDown ? p.down : p.gateUp) + expert;
    const long long tile = row / 8 * (long long)blockCount(columns) + chunk * chunkBlocks;
    if (which < parts) copy::row(place, weights + tile * tileBytes, bytes, filled, policy);
#else
    if (which < parts)
      copy::box3(place, walk.isDown ? &down : &gateUp, chunk * (CHUNK / 8), row, experts.expert[index], filled, policy);
#endif
    if (weightsHaveScales && which >= 24 && which < 24 + scaleParts)
      copyScales(walk, expert, chunk, which - 24, bytesOfScales, filled);
  }

  /// Of gate's rows, or up's; or of the first of down's, or the last; of rows that have one each those of 8 rows.
  __device__ void copyScales(const Walk& walk, long long expert, int chunk, int which, u32 bytes, u32 filled) {
    const float* scales = (const float*)((walk.isDown ? p.downScales : p.gateUpScales) + expert);
    if constexpr (tokensHaveFactors) {
      scales += walk.row + which * (walk.isDown ? shareRows : p.inner);
    } else {
      const int row = walk.isDown ? (walk.row + which * (walk.rows - 1)) / scaleBlock
                                  : walk.row / scaleBlock + which * blockCount(p.inner);
      scales += row * scalePitch(walk.columns) + chunk * chunkBlocks;
    }
    copy::row(ring.scales(p.tokenCount) + which * weightScaleBytes, scales, bytes, filled);
  }
};
