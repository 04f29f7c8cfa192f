// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// A warpgroup's products of a tile whose weights are codes: they become bf16 in registers, which the matrix instructions take
// as their left operand. Few rows are multiplied by each warp for itself: that needs fewer instructions beside the codes', and
// nothing waits for a whole warpgroup.
#pragma once
#include "epilogue.cuh"
#include "mma.cuh"
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

  /// Calls `product(half, j, pairs)` for 32 columns of a stage at a time, `prepare(j)` before those of both halves.
  template <typename Prepare, typename Product>
  __device__ __forceinline__ void forEachPart(Prepare prepare, Product product) const {
    // The first or the second 8 of the 16 rows of a half; halves take turns.
    const auto tile = [&](int half, int i) { return first.after(at.stage * stageBytes + (i * 2 + half) * codes::tileBytes); };
    Words part[2][2];
    codes::Scales scales[2][2];
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < 2; ++i) scales[half][i] = codes::loadScales(tile(half, i));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      prepare(j);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (j * codes::parts % 4 == 0) {
#pragma unroll
          for (int i = 0; i < 2; ++i) part[half][i] = codes::load(tile(half, i), j * codes::parts / 4);
        }
        u32 fragments[2][4];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          u32 wide[4];
          codes::widen(part[half][i], scales[half][i], j, wide);
#pragma unroll
          for (int k = 0; k < 4; ++k) fragments[k >> 1][(k & 1) * 2 + i] = wide[k];
        }
        product(half, j, fragments);
      }
    }
  }

  template <int N> __device__ __forceinline__ void multiply(Sums& sums) {
    if constexpr (N <= 16)
      multiplyFew<N>(sums);
    else
      multiplyMany<N>(sums);
  }

  /// At most 16 rows, by warps.
  template <int N> __device__ __forceinline__ void multiplyFew(Sums& sums) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < (N < STEP ? STEP : N) / 2; ++i) sums[half][i] = 0;
    // A lane's row and chunk of 8 columns of the four that one load brings; they are swizzled.
    const u32 row = lane() & 7, chunk = lane() >> 3 ^ row, tokensOfStage = memory.tokens(0) + row * operandWidth;
    const u32 place[2] = {kept(tokensOfStage + (chunk << 4)), kept(tokensOfStage + ((chunk ^ 4) << 4))};
    for (int step = 0; step < steps; ++step) {
      memory.waitUntilFull(at);
      u32 tokens[N / 8][4];
      forEachPart(
        [&](int j) {
          const u32 columns = place[j & 1] + at.stage * stageBytes + (j >> 1) * tokenPartBytes;
#pragma unroll
          for (int block = 0; block < N / 8; ++block) mma::loadRight(tokens[block], columns + block * 8 * operandWidth);
        },
        [&](int half, int, const u32(&a)[2][4]) {
#pragma unroll
          for (int k = 0; k < 2; ++k)
#pragma unroll
            for (int block = 0; block < N / 8; ++block)
              mma::addBF16(*(mma::Sums*)(sums[half] + block * 4), a[k][0], a[k][1], a[k][2], a[k][3], tokens[block][2 * k],
                           tokens[block][2 * k + 1]);
        });
      __syncwarp();
      memory.release(at.stage);
      at.advance();
    }
  }

  /// 32 columns of 64 rows become bf16 while the tensor cores multiply those before.
  template <int N> __device__ __forceinline__ void multiplyMany(Sums& sums) {
    for (int step = 0; step < steps; ++step) {
      memory.waitUntilFull(at);
      const u64 tokens = wgmma::descriptor(memory.tokens(at.stage));
      forEachPart(
        [](int) {},
        [&](int half, int j, const u32(&a)[2][4]) {
          if (j > 0) wgmma::wait<1>();
          wgmma::begin();
#pragma unroll
          for (int k = 0; k < 2; ++k)
            wgmma::Product<N>::bf16(
              sums[half], a[k], tokens + wgmma::descriptorBytes((j >> 1) * tokenPartBytes + ((j & 1) * 2 + k) * 32),
              step > 0 || j > 0 || k > 0);
          wgmma::commit();
        });
      wgmma::wait<0>();
      memory.release(at.stage);
      at.advance();
    }
    wgmma::hold(sums[0]);
    wgmma::hold(sums[1]);
  }
};
