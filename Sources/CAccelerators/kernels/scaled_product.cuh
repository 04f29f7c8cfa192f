// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// A warpgroup's product of e4m3 in blocks. Tokens are the left operand: a thread's sums then belong to two tokens, and a step
// of 128 columns takes two scales of tokens and two of weights; with weights on the left it would take one for every second
// sum. Of a tile of up to 128 tokens a warpgroup has 64 and all 256 weight rows, of one of up to 64 tokens, which takes half the
// time, it has half of the weight rows.
#pragma once
#include "ring.cuh"
#include "wgmma.cuh"

/// Tokens of a product, and weight rows, of which a warpgroup has so many halves of a tile at most.
constexpr int groupTokens = 64, halfRows = tileRows / 2, mostHalves = TOKENS / groupTokens;
static_assert(TOKENS == groupTokens || TOKENS == 2 * groupTokens, "64 tokens, or 64 for each warpgroup");

/// Lane 4g + t of a warp has tokens g, at 4j, and g + 8, at 4j + 2: of each weight rows 8j + 2t and the next.
using Sums = float[mostHalves][halfRows / 2];

/// Halves of a tile's weight rows that each warpgroup has; the first of a warp's 16 tokens, and of its warpgroup's halves.
__device__ __forceinline__ int halvesOf(const Tile& tile) { return TOKENS > groupTokens && tile.count > groupTokens ? 2 : 1; }
__device__ __forceinline__ int firstToken(int member, int halves) {
  return (halves - 1) * member * groupTokens + (threadIdx.x >> 5 & 3) * 16;
}
__device__ __forceinline__ int firstHalf(int member, int halves) { return halves == 1 ? member : 0; }

struct Consumer {
  const moe_hopper_grouped_arguments& p;
  const Memory& memory;
  int steps, member;
  Position at;

  __device__ __forceinline__ void multiplyTile(Sums& sums, const Tile& tile) {
    if (halvesOf(tile) == mostHalves)
      multiply<mostHalves>(sums);
    else
      multiply<1>(sums);
  }

 private:
  /// A stage is a block of scales: its products are summed by the tensor cores, then scaled and added in fp32.
  template <int halves> __device__ __forceinline__ void multiply(Sums& sums) {
#pragma unroll
    for (int half = 0; half < halves; ++half)
#pragma unroll
      for (int i = 0; i < halfRows / 2; ++i) sums[half][i] = 0;
    // In bytes, where this warpgroup's part of a stage and this thread's scales are.
    const u32 firstRow = (halves - 1) * member * groupTokens * operandWidth;
    const u32 firstWeights = firstHalf(member, halves) * halfRows * operandWidth;
    const u32 token = (firstToken(member, halves) + (lane() >> 2)) * 4;
    const u32 weight = (TOKENS + (paired ? 0 : firstHalf(member, halves))) * 4;
    for (int step = 0; step < steps; ++step) {
      memory.waitUntilFull(at);
      const u64 tokens = wgmma::descriptor(memory.tokens(at.stage) + firstRow);
      const u32 scales = memory.scales(at.stage);
      const float tokenScale[2] = {loadSharedFloat(scales + token), loadSharedFloat(scales + token + 32)};
      // Of gate and up, or of down's halves.
      const float weightScale[2] = {loadSharedFloat(scales + weight), loadSharedFloat(scales + weight + 4)};
#pragma unroll
      for (int half = 0; half < halves; ++half) {
        const u64 weights = wgmma::descriptor(memory.weights(at.stage) + firstWeights + half * halfRows * operandWidth);
        float block[halfRows / 2];
        wgmma::begin();
#pragma unroll
        for (int k = 0; k < 4; ++k)
          wgmma::Product<halfRows>::e4m3(
            block, tokens + wgmma::descriptorBytes(k * 32), weights + wgmma::descriptorBytes(k * 32), k > 0);
        wgmma::commit();
        wgmma::wait<0>();
        wgmma::hold(block);
        if (half == halves - 1) memory.release(at.stage);
#pragma unroll
        for (int i = 0; i < halfRows / 2; ++i) {
          const float scale = tokenScale[i >> 1 & 1] * weightScale[paired ? i >> 2 & 1 : half];
          sums[half][i] = fmaf(block[i], scale, sums[half][i]);
        }
      }
      at.advance();
    }
  }
};
