// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// A warpgroup's products of a tile whose weights are codes that become e4m3 in registers, which the matrix instructions take as
// their left operand. 256 columns of a row, two stages, are summed by the tensor cores, then scaled and added in fp32; the tokens'
// scales wait for the epilogue.
#pragma once
#include "e2m1.cuh"
#include "epilogue.cuh"
#include "wgmma.cuh"

struct CodedProduct {
  const Memory& memory;
  Position& at;
  int steps;
  /// Of the first stage: this warp's first 8 weight rows.
  codes::Place first;

  __device__ __forceinline__ CodedProduct(const Memory& memory, Position& at, int steps, int member)
      : memory(memory), at(at), steps(steps),
        first(memory.weights(0) + (member * 4 + (threadIdx.x >> 5 & 3)) * 4 * codes::tileBytes) {}

  template <int N> __device__ __forceinline__ void multiply(Sums& sums) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < N / 2; ++i) sums[half][i] = 0;
    for (int step = 0; step < steps; step += 2) {
      const bool both = step + 1 < steps;
      memory.waitUntilFull(at);
      const int stage = at.stage;
      at.advance();
      const int next = at.stage;
      if (both) memory.waitUntilFull(at);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float block[N / 2];
        codes::Scales scales[2];
        addStage<N, true>(block, scales, stage, half);
        if (both) addStage<N, false>(block, scales, next, half);
        const float factors[2] = {codes::rowFactor(scales[0]), codes::rowFactor(scales[1])};
        wgmma::wait<0>();
        wgmma::hold(block);
        if (half == 1) {
          memory.release(stage);
          if (both) memory.release(next);
        }
#pragma unroll
        for (int i = 0; i < N / 2; ++i) sums[half][i] = fmaf(block[i], factors[i >> 1 & 1], sums[half][i]);
      }
      if (both) at.advance();
    }
  }

 private:
  /// Begins the products of 128 columns, of which 32 of 64 rows become e4m3 while the tensor cores multiply those before.
  template <int N, bool isFirst>
  __device__ __forceinline__ void addStage(float (&block)[N / 2], codes::Scales (&scales)[2], int stage, int half) const {
    // The first and the second 8 of the 16 rows of a half; halves take turns.
    const codes::Place low = first.after(stage * stageBytes + half * codes::tileBytes), high = low.after(2 * codes::tileBytes);
    const u64 tokens = wgmma::descriptor(memory.tokens(stage));
    const Words lowCodes = codes::load(low, 0), highCodes = codes::load(high, 0);
    scales[0] = codes::loadScales(low);
    scales[1] = codes::loadScales(high);
    const codes::Magnitudes lowTable = codes::Magnitudes::e4m3(scales[0]), highTable = codes::Magnitudes::e4m3(scales[1]);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      u32 a[4];
      codes::choose(lowCodes.w[j], lowTable, a[0], a[2]);
      codes::choose(highCodes.w[j], highTable, a[1], a[3]);
      if (!isFirst || j > 0) wgmma::wait<1>();
      wgmma::begin();
      wgmma::Product<N>::e4m3(block, a, tokens + wgmma::descriptorBytes(j * 32), !isFirst || j > 0);
      wgmma::commit();
    }
  }
};
