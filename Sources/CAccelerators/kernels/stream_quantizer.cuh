// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The warps of the stream that quantise the tokens of a full stage, once for all that multiply them.
#pragma once
#include "e4m3.cuh"
#include "stream_walk.cuh"

/// Raises `shared.greatest` to the tokens' greatest magnitudes, where rows have one scale: by the warps that don't multiply, while
/// the experts are found. Later, loads would wait behind the weights.
__device__ __forceinline__ void findGreatest(Shared& shared, const StreamArguments& p) {
  constexpr int columnsAtOnce = 256, together = 4;
  const int warp = uniform(threadIdx.x / 32) - consumers / 32, count = blockDim.x / 32 - consumers / 32;
  // Warps that share a token, and tokens at a time.
  const int sharing = p.tokenCount < count ? divide(count, p.tokenCount) : 1, tokens = divide(count, sharing);
  for (int token = divide(warp, sharing); token < p.tokenCount; token += tokens) {
    const u16* const row = p.input + (long long)token * p.hidden;
    u32 bits = 0;
    for (int first = warp % sharing; first * columnsAtOnce < p.hidden; first += together * sharing) {
      Words values[together];
#pragma unroll
      for (int i = 0; i < together; ++i) {
        const int column = (first + i * sharing) * columnsAtOnce + lane() * 8;
        values[i] = column < p.hidden ? *(const Words*)(row + column) : Words{};
      }
#pragma unroll
      for (int i = 0; i < together; ++i) bits = greaterHalves(bits, greatestBits(values[i]));
    }
    const u32 greatest = __reduce_max_sync(~0u, max(bits & 0xffff, bits >> 16));
    if (lane() == 0) atomicMax(&shared.greatest[token], greatest << 16);
  }
}

/// One warp of a team, with some of a stage's blocks of 128 columns. 16 lanes have a block, whose greatest magnitude, or that of
/// the token's row, becomes 448. Codes take the place of the first half of their block; where weights are tiles, what they stand
/// for takes the place of all of it as fp16.
struct Quantizer {
  const StreamArguments& p;
  const Shared& shared;
  Ring ring;
  int team, warp;
  Turn turn = {};

  __device__ void run() {
    const auto stage = [&](const Walk& walk, int index, int chunk) {
      barrier::wait(ring.barrier(fed), ring.phase);
      for (u32 rest = shared.experts.tokens[index]; rest != 0; rest &= rest - 1)
        quantize(walk, index, __ffs(rest) - 1, walk.columns - chunk * chunkColumns);
      __syncwarp();
      if (lane() == 0) barrier::arrive(ring.barrier(quantized));
      ring.advance();
    };
    forEachStage(Walk(p, shared.experts, false), turn, team, quantizingTeams, stage);
    forEachStage(Walk(p, shared.experts, true), turn, team, quantizingTeams, stage);
  }

 private:
  /// A token, of which so many columns, or a stage's, are left.
  __device__ void quantize(const Walk& walk, int index, int token, int columns) {
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
    if constexpr (tokensHaveFactors) {
      const u32 ofRow = walk.isDown ? loadSharedWord(ring.greatest(ring.stage, p.tokenCount) + token * 4) : shared.greatest[token];
      const float floor = fmaxf(__uint_as_float(ofRow), leastGreatestOfRow);
#pragma unroll
      for (int i = 0; i < pairs; ++i) greatest[i] = floor;
      // The router's weight comes after the intermediate has been quantised.
      const float weight = walk.isDown && !p.weightOnInput ? shared.experts.weight[index * p.tokenCount + token] : 1.f;
      if (warp == 0 && lane() == 0) storeShared(scales, floor * (1 / 448.f) * weight);
      // Values change places.
      __syncwarp();
    } else {
#pragma unroll
      for (int i = 0; i < pairs; ++i) greatest[i] = greatestOfBlock(values[i]);
    }
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int block = first + i * 2 * quantizingWarps;
      const float inverse = 448.f * reciprocal(greatest[i]);
      // A lane's 32 columns are in four pieces, in the order in which it takes them.
      if (TILED)
        storeShared(row + block * codePitch + ((part & 3) << 2 | part >> 2) * 16, roundedE4M3(values[i], inverse));
      else
        storeShared(row + block * codePitch + part * 8, quantizeE4M3(values[i], inverse));
      if (!tokensHaveFactors && part == 0) storeShared(scales + block * tokenScaleBytes, greatest[i] * (1 / 448.f));
    }
  }
};
