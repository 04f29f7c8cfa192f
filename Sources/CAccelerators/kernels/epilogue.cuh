// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// From a warpgroup's sums to rows of memory: bias, activation, and a turn through shared memory, `STEP` rows at a time, so
// that each thread stores 16 bytes of a row. A warp has neighbouring outputs of all rows and waits for nobody. That of e4m3 in
// blocks is `scaled_epilogue.cuh`.
#pragma once
#include "activation.cuh"
#include "ring.cuh"

/// 64 weight rows twice, by tokens: a warp's 16 rows of each are groups of 8 in turns, of which the first and third of its four are
/// in the first half; where gate and up are paired, those are the gate's.
using Sums = float[2][TOKENS / 2];

/// Of one warpgroup, of a tile and of a warp.
constexpr int outputs = paired ? 64 : 128, tileOutputs = 2 * outputs, warpOutputs = outputs / 4;
/// A warp's buffer has `STEP` rows of so many chunks of 16 bytes; its lanes store so many rows at once.
constexpr int chunks = warpOutputs / 8, rowsAtOnce = 32 / chunks, bufferBytes = STEP * warpOutputs * 2;

using Results = moe_hopper_results;

/// Four 8 × 8 blocks: lanes 8i to 8i + 7 have the addresses of block i's rows in shared memory, each a token's 8 outputs.
__device__ __forceinline__ void storeTransposed(u32 address, const u32* block) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(block[0]),
               "r"(block[1]), "r"(block[2]), "r"(block[3]) : "memory");
}

struct Epilogue {
  const Results& p;
  const Sources& sources;
  long long expertBytes;
  u32 buffer;
  int member;  // the warpgroup: 0 or 1
  /// Of the tile's rows l, l + 32 and so on lane l has the rows of down's result, and where tokens have factors, those.
  static constexpr int rowsOfLane = (TOKENS + 31) / 32;
  int place[rowsOfLane];
  float factor[rowsOfLane];

  __device__ static Epilogue of(const moe_hopper_grouped_arguments& p, const Memory& memory, int member) {
    return {p.results, p.sources, p.expertBytes, memory.buffers() + (threadIdx.x - copiers >> 5) * bufferBytes, member};
  }

  /// Before the product, behind which what is fetched comes.
  __device__ __forceinline__ void begin(const Tile& tile) {
    // The product of codes that become e4m3 leaves no registers for them.
    if (!tokensHaveFactors) fetch(tile);
  }

  __device__ __forceinline__ void finish(const Tile& tile, Sums& sums) {
    if (tokensHaveFactors) fetch(tile);
    const int g = lane() >> 2, t = lane() & 3;
    const int first = tile.block * tileOutputs + member * outputs + (threadIdx.x >> 5 & 3) * warpOutputs;
    // What fp32 [2, width] or, without a gate and for down, [width] has for this thread's rows.
    const auto load = [&](float (&values)[2][2], const u8* matrices) {
      const float* of = (const float*)(matrices + tile.expert * expertBytes);
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int output = first + (paired ? i : i * 2 + half) * 8 + g;
          if (output < p.width) values[half][i] = of[(paired ? half * p.width : 0) + output];
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
      for (int half = 0; half < 2; ++half) unit[half][0] = unit[half][1] = restored * of[paired ? half : 0];
    }
    if (WEIGHTS == E4M3_ROW) load(unit, sources.weightScales);
    // Where this lane's row of a block goes: a block's chunk, or two blocks' two.
    const u32 blockRow = paired ? lane() & 7 | lane() >> 4 << 3 : lane() & 7, blockChunk = lane() >> 3 & (chunks - 1);
    const int storedRow = lane() / chunks, storedChunk = lane() % chunks;
    const bool inside = first + storedChunk * 8 < p.width;
#pragma unroll
    for (int part = 0; part < TOKENS / STEP; ++part) {
      if (part * STEP >= tile.count) break;
      u32 packed[STEP / 8][chunks];
#pragma unroll
      for (int block = 0; block < STEP / 8; ++block) {
        float c[2][4], of[2];
        if constexpr (tokensHaveFactors) {
#pragma unroll
          for (int i = 0; i < 2; ++i)
            of[i] = __shfl_sync(~0u, factor[(part * STEP + block * 8) / 32], (part * STEP + block * 8 + t * 2 + i) & 31);
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
          for (int i = 0; i < 4; ++i) c[half][i] = sums[half][(part * STEP / 8 + block) * 4 + i] * unit[half][i >> 1];
          if constexpr (tokensHaveFactors) {
#pragma unroll
            for (int i = 0; i < 4; ++i) c[half][i] *= of[i & 1];
          }
          if (!DOWN && p.inputWeights) scale(c[half], tile, part * STEP + block * 8 + t * 2);
#pragma unroll
          for (int i = 0; i < 4; ++i) c[half][i] += bias[half][i >> 1];
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const auto value = [&](int half, int token) {
            const float x = c[half][i * 2 + token];
            return DOWN ? x : activate(x, paired ? c[1][i * 2 + token] : x, p.activation);
          };
          packed[block][paired ? i : i * 2] = packBF16(value(0, 0), value(0, 1));
          if (!paired) packed[block][(i * 2 + 1) % chunks] = packBF16(value(1, 0), value(1, 1));
        }
      }
      __syncwarp();
#pragma unroll
      for (int block = 0; block < STEP / 8; block += 4 / chunks)
        storeTransposed(chunk(block * 8 + blockRow, blockChunk), packed[block]);
      __syncwarp();
#pragma unroll
      for (int row = 0; row < STEP; row += rowsAtOnce) {
        const int inPart = row + storedRow, inTile = part * STEP + inPart;
        const Words values = loadShared(chunk(inPart, storedChunk));
        const int to = DOWN ? __shfl_sync(~0u, place[part * STEP / 32], inTile & 31) : tile.first + inTile;
        if (inTile < tile.count && inside)
          *(Words*)(p.output + ((long long)to * p.width + first + storedChunk * 8) * 2) = values;
      }
    }
  }

 private:
  __device__ __forceinline__ void fetch(const Tile& tile) {
    constexpr int count = DOWN || tokensHaveFactors ? rowsOfLane : 0;
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = tile.first + smaller(i * 32 + lane(), tile.count - 1), pair = sources.rows[row];
      if (DOWN) place[i] = pair;
      if (tokensHaveFactors) factor[i] = sources.inputScales[DOWN ? row : divide(pair, sources.topK)];
    }
  }

  /// Where a chunk of a row lies in the buffer, spread over the banks.
  __device__ __forceinline__ u32 chunk(u32 row, u32 index) const {
    return buffer + row * (chunks * 16) + ((index ^ row / (8 / chunks) % chunks) << 4);
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
