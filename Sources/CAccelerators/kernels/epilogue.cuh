// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// From a warpgroup's sums to rows of memory: bias, activation, and a turn through shared memory, `STEP` rows at a time, so
// that each thread stores 16 bytes of a row. That of e4m3 in blocks is `scaled_epilogue.cuh`.
#pragma once
#include "activation.cuh"
#include "ring.cuh"

/// 64 weight rows twice, by tokens.
using Sums = float[2][TOKENS / 2];

/// Of one warpgroup, and of a tile.
constexpr int outputs = paired ? 64 : 128, tileOutputs = 2 * outputs;
constexpr int storers = 128, bufferBytes = STEP * outputs * 2;
constexpr int chunks = outputs / 8, tokensAtOnce = storers / chunks;
constexpr int passes = (STEP + tokensAtOnce - 1) / tokensAtOnce;

using Results = moe_hopper_results;

/// Writes 8 × 8 blocks so that each row of memory has one token's 8 outputs.
__device__ __forceinline__ void storeTransposed(u32 address, const u32 (&block)[STEP / 8]) {
  if constexpr (STEP == 32)
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(block[0]),
                 "r"(block[1]), "r"(block[2]), "r"(block[3]) : "memory");
  else
    asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(address), "r"(block[0]),
                 "r"(block[1]) : "memory");
}

struct Epilogue {
  const Results& p;
  const Sources& sources;
  long long expertBytes;
  u32 buffers;
  int member;  // the warpgroup: 0 or 1
  /// Where tokens have factors: that of the tile's row of this thread's number.
  float factor = 1;

  __device__ static Epilogue of(const moe_hopper_grouped_arguments& p, const Memory& memory, int member) {
    return {p.results, p.sources, p.expertBytes, memory.buffers(), member};
  }

  /// Before the product, behind which what is fetched comes.
  __device__ __forceinline__ void begin(const Tile& tile) {
    if constexpr (tokensHaveFactors) {
      const int row = tile.first + smaller(threadIdx.x & (storers - 1), tile.count - 1);
      factor = sources.inputScales[DOWN ? row : divide(sources.rows[row], sources.topK)];
    }
  }

  __device__ __forceinline__ void meet() const {
    barrier::meet(1 + member, storers);
  }

  __device__ __forceinline__ void finish(const Tile& tile, Sums& sums) const {
    const int warp = threadIdx.x >> 5 & 3, g = lane() >> 2, t = lane() & 3;
    const int thread = threadIdx.x & (storers - 1), ownFirst = tile.block * tileOutputs + member * outputs;
    const u32 buffer = buffers + member * bufferBytes;
    // What fp32 [2, width] or, without a gate and for down, [width] has for this thread's rows.
    const auto load = [&](float (&values)[2][2], const u8* matrices) {
      const float* of = (const float*)(matrices + tile.expert * expertBytes);
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int row = ownFirst + (paired ? half * 32 + warp * 8 + g : half * 64 + warp * 16 + i * 8 + g);
          if (row < p.width) values[half][i] = of[(paired ? i * p.width : 0) + row];
        }
    };
    float bias[2][2] = {};
    if (p.bias) load(bias, p.bias);
    // What sums are too small by.
    constexpr float restored = TILED ? codes::restored : 1.f;
    float unit[2][2] = {{restored, restored}, {restored, restored}};
    if (TILED && codes::hasFactors) {
      // fp32 [2] or, without a gate and for down, [1].
      const float* of = (const float*)(sources.weightScales + tile.expert * expertBytes);
#pragma unroll
      for (int i = 0; i < 2; ++i) unit[0][i] = unit[1][i] = restored * of[paired ? i : 0];
    }
    if (WEIGHTS == E4M3_ROW) load(unit, sources.weightScales);
    __shared__ float2 factors[2][TOKENS / 2];
    if constexpr (tokensHaveFactors) {
      if (thread < TOKENS) ((float*)factors[member])[thread] = factor;
      meet();
    }
    const u32 swizzle = lane() & 7, transposed = buffer + (lane() & (STEP - 1)) * (outputs * 2);
    int place[passes], next[passes];
    findPlaces(next, tile, thread / chunks);
#pragma unroll
    for (int part = 0; part < TOKENS / STEP; ++part) {
      if (part * STEP >= tile.count) break;
#pragma unroll
      for (int pass = 0; pass < passes; ++pass) place[pass] = next[pass];
      findPlaces(next, tile, (part + 1) * STEP + thread / chunks);
      if (part > 0) meet();
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        u32 packed[2][STEP / 8];
#pragma unroll
        for (int block = 0; block < STEP / 8; ++block) {
          const int j = (part * STEP / 8 + block) * 4;
          float c[4];
#pragma unroll
          for (int i = 0; i < 4; ++i) c[i] = sums[half][j + i] * unit[half][i >> 1];
          if constexpr (tokensHaveFactors) {
            const float2 of = factors[member][(part * STEP + block * 8) / 2 + t];
            c[0] *= of.x, c[1] *= of.y, c[2] *= of.x, c[3] *= of.y;
          }
          if (!DOWN && p.inputWeights) scale(c, tile, part * STEP + block * 8 + t * 2);
          if (paired) {
            packed[0][block] = packBF16(activate(c[0] + bias[half][0], c[2] + bias[half][1], p.activation),
                                        activate(c[1] + bias[half][0], c[3] + bias[half][1], p.activation));
          } else {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              c[i] += bias[half][i >> 1];
              if (!DOWN) c[i] = activate(c[i], c[i], p.activation);
            }
            packed[0][block] = packBF16(c[0], c[1]);
            packed[1][block] = packBF16(c[2], c[3]);
          }
        }
        if (paired) {
          storeTransposed(transposed + ((half * 4 + warp ^ swizzle) << 4), packed[0]);
        } else {
          storeTransposed(transposed + ((half * 8 + warp * 2 ^ swizzle) << 4), packed[0]);
          storeTransposed(transposed + ((half * 8 + warp * 2 + 1 ^ swizzle) << 4), packed[1]);
        }
      }
      meet();
#pragma unroll
      for (int pass = 0; pass < passes; ++pass) {
        const int token = pass * tokensAtOnce + thread / chunks, chunk = thread % chunks, row = part * STEP + token;
        const int first = ownFirst + chunk * 8;
        const Words values = loadShared(buffer + token % STEP * (outputs * 2) + ((chunk ^ (token & 7)) << 4));
        if (token < STEP && row < tile.count && first < p.width)
          *(Words*)(p.output + ((long long)place[pass] * p.width + first) * 2) = values;
      }
    }
    meet();
  }

  /// Where rows go: fetched a part ahead.
  __device__ __forceinline__ void findPlaces(int (&place)[passes], const Tile& tile, int first) const {
#pragma unroll
    for (int pass = 0; pass < passes; ++pass) {
      const int row = first + pass * tokensAtOnce;
      place[pass] = row >= tile.count ? 0 : DOWN ? sources.rows[tile.first + row] : tile.first + row;
    }
  }

  __device__ __forceinline__ void scale(float (&c)[4], const Tile& tile, int row) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float weight = row + i < tile.count ? p.inputWeights[sources.rows[tile.first + row + i]] : 0.f;
      c[i] *= weight;
      c[i + 2] *= weight;
    }
  }
};
