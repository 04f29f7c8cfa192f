// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The warps of the stream that turn the tokens of a full stage into e4m3, once for all that multiply them.
#pragma once
#include "e4m3.cuh"
#include "stream_walk.cuh"

/// One warp of a team, with some of a stage's blocks of 128 columns. 16 lanes have a block, whose greatest magnitude becomes 448.
struct Quantizer {
  const StreamArguments& p;
  const TouchedExperts& experts;
  Ring ring;
  int team, warp;
  Turn turn = {};

  __device__ void run() {
    const auto stage = [&](const Walk& walk, int index, int chunk) {
      barrier::wait(ring.full + ring.stage * 8, ring.phase);
      for (u32 rest = experts.tokens[index]; rest != 0; rest &= rest - 1)
        quantize(__ffs(rest) - 1, walk.columns - chunk * chunkColumns);
      __syncwarp();
      if (lane() == 0) barrier::arrive(ring.ready + ring.stage * 8);
      ring.advance();
    };
    forEachStage(Walk(p, experts, false), turn, team, quantizingTeams, stage);
    forEachStage(Walk(p, experts, true), turn, team, quantizingTeams, stage);
  }

 private:
  /// A token, of which so many columns, or a stage's, are left. Codes take the place of the first half of their block.
  __device__ void quantize(int token, int columns) {
    const u32 row = ring.tokens() + token * tokenPitch, scales = tokenScales(ring.scales(p.tokenCount), token);
    constexpr int pairs = chunkBlocks / 2 / quantizingWarps;
    const int first = warp * 2 + (lane() >> 4), part = lane() & 15;
    // One after the other in every step, so that they wait together.
    Words values[pairs];
    float greatest[pairs];
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int column = (first + i * 2 * quantizingWarps) * scaleBlock + part * 8;
      values[i] = column < columns ? loadShared(row + column * 2) : Words{};
    }
#pragma unroll
    for (int i = 0; i < pairs; ++i) greatest[i] = greatestOfBlock(values[i]);
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int block = first + i * 2 * quantizingWarps;
      storeShared(row + block * codePitch + part * 8, quantizeE4M3(values[i], 448.f * reciprocal(greatest[i])));
      if (part == 0) storeShared(scales + block * tokenScaleBytes, greatest[i] * (1 / 448.f));
    }
  }
};
