// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// A warpgroup's products of e4m3 where tokens have one scale each. 256 columns of a row, two stages, are summed by the tensor
// cores, then added in fp32; the tokens' scales wait for the epilogue.
#pragma once
#include "epilogue.cuh"
#include "wgmma.cuh"
#if WEIGHTS == MXFP4_E4M3
#include "e2m1.cuh"
#endif

#if WEIGHTS == MXFP4_E4M3
/// Codes that become e4m3 in registers, which the matrix instructions take as their left operand, with a factor for each row.
struct LeftOperand {
  const Memory& memory;
  /// Of the first stage: this warp's first 8 weight rows.
  codes::Place first;
  codes::Scales scales[2] = {};

  __device__ __forceinline__ LeftOperand(const Memory& memory, int member)
      : memory(memory), first(memory.weights(0) + (member * 4 + (threadIdx.x >> 5 & 3)) * 4 * codes::tileBytes) {}

  /// Begins the products of 128 columns and N tokens, of which 32 columns of 64 rows become e4m3 while the tensor cores multiply
  /// those before.
  template <int N, bool isFirst>
  __device__ __forceinline__ void begin(float (&block)[N / 2], int stage, int half, int firstToken) {
    // The first and the second 8 of the 16 rows of a half; halves take turns.
    const codes::Place low = first.after(stage * stageBytes + half * codes::tileBytes), high = low.after(2 * codes::tileBytes);
    const u64 tokens = wgmma::descriptor(memory.tokens(stage) + firstToken * operandWidth);
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

  /// Of the first or the second 8 of 16 rows.
  __device__ __forceinline__ float factor(int i) const { return codes::rowFactor(scales[i]); }
};
#else
/// Rows of e4m3 in shared memory.
struct LeftOperand {
  const Memory& memory;
  int member;

  __device__ __forceinline__ LeftOperand(const Memory& memory, int member) : memory(memory), member(member) {}

  /// Begins the products of 128 columns and N tokens.
  template <int N, bool isFirst>
  __device__ __forceinline__ void begin(float (&block)[N / 2], int stage, int half, int firstToken) const {
    const u64 weights = wgmma::halfOf(memory.weights(stage) + member * 128 * operandWidth, half);
    const u64 tokens = wgmma::descriptor(memory.tokens(stage) + firstToken * operandWidth);
    wgmma::begin();
#pragma unroll
    for (int j = 0; j < 4; ++j)
      wgmma::Product<N>::e4m3(block, weights + wgmma::descriptorBytes(j * 32), tokens + wgmma::descriptorBytes(j * 32),
                              !isFirst || j > 0);
    wgmma::commit();
  }

  __device__ __forceinline__ float factor(int) const { return 1; }
};
#endif

struct NarrowProduct {
  const Memory& memory;
  Position& at;
  int steps;
  LeftOperand left;

  __device__ __forceinline__ NarrowProduct(const Memory& memory, Position& at, int steps, int member)
      : memory(memory), at(at), steps(steps), left(memory, member) {}

  template <int N> __device__ __forceinline__ void multiply(Sums& sums) {
    // Blocks of sums of more than 128 tokens would leave no registers.
    constexpr int parts = N > 128 ? 2 : 1, partTokens = N / parts;
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
      for (int i = 0; i < 2 * parts; ++i) {
        const int half = i / parts, firstToken = i % parts * partTokens;
        float block[partTokens / 2];
        left.template begin<partTokens, true>(block, stage, half, firstToken);
        if (both) left.template begin<partTokens, false>(block, next, half, firstToken);
        const float factors[2] = {left.factor(0), left.factor(1)};
        wgmma::wait<0>();
        wgmma::hold(block);
        if (i == 2 * parts - 1) {
          memory.release(stage);
          if (both) memory.release(next);
        }
#pragma unroll
        for (int j = 0; j < partTokens / 2; ++j) {
          float& sum = sums[half][firstToken / 2 + j];
          sum = fmaf(block[j], factors[j >> 1 & 1], sum);
        }
      }
      if (both) at.advance();
    }
  }
};
