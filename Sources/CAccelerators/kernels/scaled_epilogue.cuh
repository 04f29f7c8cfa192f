// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// From a warpgroup's sums of `scaled_product.cuh` to rows of memory. A warp has 16 rows of its own and nobody to wait for, but
// where warpgroups share the 128 outputs of a scale.
#pragma once
#include "activation.cuh"
#include "e4m3.cuh"
#include "scaled_product.cuh"

static_assert(DOWN || GATED, "e4m3 without a gate has no product of its own");
/// A block of scales of gate and up, or two of down; and what a half gives.
constexpr int tileOutputs = paired ? 128 : 256, halfOutputs = tileOutputs / 2;

/// Four 8 × 8 blocks of 16 bits: lane 8i + r has the address of row r of block i, lane 4r + t the words t of rows r.
__device__ __forceinline__ void storeBlocks(u32 address, const u32 (&w)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(w[0]), "r"(w[1]), "r"(w[2]),
               "r"(w[3]) : "memory");
}

/// What a warp of a warpgroup that has `halves` of a tile's weight rows does.
template <int halves> struct WarpEpilogue {
  /// A warp's buffer has 8 rows: of bf16 a half's outputs, of codes all.
  static constexpr int outputBytes = DOWN ? 2 : 1, rowBytes = DOWN ? halfOutputs * 2 : halves * halfOutputs;
  static constexpr int bufferBytes = 8 * rowBytes, chunks = rowBytes / 16;

  const moe_hopper_grouped_arguments& p;
  u32 buffer;
  int member;
  /// Of down: lane l has the row of the result of the warp's row l % 16.
  int place;

  __device__ __forceinline__ void finish(const Tile& tile, Sums& sums) const {
    const int firstOfWarp = firstToken(member, halves), first = tile.first + firstOfWarp, count = tile.count - firstOfWarp;
    const int output = tile.block * tileOutputs + firstHalf(member, halves) * halfOutputs;
    if (!DOWN && p.results.inputWeights) weigh(sums, first, count);
    if (p.results.bias) addBias(sums, (const float*)(p.results.bias + tile.expert * p.expertBytes), output);
    if constexpr (DOWN)
      storeOutputs(sums, count, output);
    else
      storeIntermediate(sums, first, count, output);
  }

 private:
  /// Multiplies by the router's weights.
  __device__ __forceinline__ void weigh(Sums& sums, int first, int count) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = i * 8 + (lane() >> 2);
      const float weight = row < count ? p.results.inputWeights[p.sources.rows[first + row]] : 0.f;
#pragma unroll
      for (int half = 0; half < halves; ++half)
#pragma unroll
        for (int j = 0; j < halfRows / 4; ++j) sums[half][(j >> 1) * 4 + i * 2 + (j & 1)] *= weight;
    }
  }

  __device__ __forceinline__ void addBias(Sums& sums, const float* bias, int first) const {
#pragma unroll
    for (int half = 0; half < halves; ++half)
#pragma unroll
      for (int j = 0; j < halfRows / 8; ++j) {
        // Gate and up lie in turns.
        const int output = first + half * halfOutputs + (paired ? j >> 1 : j) * 8 + (lane() & 3) * 2;
        if (output >= p.results.width) continue;
        const float2 add = *(const float2*)(bias + (paired ? (j & 1) * p.results.width : 0) + output);
        float* c = sums[half] + j * 4;
        c[0] += add.x, c[1] += add.y, c[2] += add.x, c[3] += add.y;
      }
  }

  /// Down's, as bf16.
  __device__ __forceinline__ void storeOutputs(const Sums& sums, int count, int output) const {
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int half = 0; half < halves; ++half) {
#pragma unroll
        for (int j = 0; j < halfRows / 8; j += 4) {
          u32 packed[4];
#pragma unroll
          for (int k = 0; k < 4; ++k) {
            const float* c = sums[half] + (j + k) * 4 + i * 2;
            packed[k] = packBF16(c[0], c[1]);
          }
          storeBlocks(chunk(lane() & 7, j + (lane() >> 3)), packed);
        }
        storeRows(
          count - i * 8, output + half * halfOutputs, [&](int row) { return __shfl_sync(~0u, place, i * 8 + row); },
          [](const Words& words) { return words; });
      }
  }

  /// With the activation, rounded to bf16, then to e4m3 with a scale for the 128 outputs of a row.
  __device__ __forceinline__ void storeIntermediate(const Sums& sums, int first, int count, int output) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      u32 packed[halves][8], bits = 0;
#pragma unroll
      for (int half = 0; half < halves; ++half)
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          const float* c = sums[half] + j * 8 + i * 2;
          packed[half][j] = packBF16(activate(c[0], c[4], p.results.activation), activate(c[1], c[5], p.results.activation));
          bits = greaterHalves(bits, packed[half][j] & 0x7fff7fffu);
        }
      const int row = i * 8 + (lane() >> 2);
      const float greatest = greatestOfRow(bits, firstToken(member, halves) + row), inverse = 448.f * reciprocal(greatest);
      storeCodes(packed, inverse, first + i * 8, count - i * 8, output);
      if ((lane() & 3) == 0 && row < count && firstHalf(member, halves) == 0)
        p.results.outputScales[(long long)(first + row) * ceilDivide(p.results.width, scaleBlock) + output / scaleBlock] =
          greatest * (1 / 448.f);
    }
  }

  /// The greatest magnitude of what four lanes, and the other warpgroup where it has half of the outputs, have of a row; never 0.
  __device__ __forceinline__ float greatestOfRow(u32 bits, int token) const {
#pragma unroll
    for (int step = 1; step < 4; step *= 2) bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, step));
    float greatest = fmaxf(fmaxf(lowBF16(bits), highBF16(bits)), 1e-10f);
    if constexpr (halves == 1) {
      __shared__ float shared[2][groupTokens];
      if ((lane() & 3) == 0) shared[member][token] = greatest;
      barrier::meet(1, 256);
      greatest = fmaxf(greatest, shared[member ^ 1][token]);
    }
    return greatest;
  }

  /// 8 rows of codes. A word has two of eight outputs and two of the next eight.
  __device__ __forceinline__ void storeCodes(const u32 (&packed)[halves][8], float inverse, int first, int count, int output) const {
#pragma unroll
    for (int half = 0; half < halves; ++half) {
      u32 codes[4];
#pragma unroll
      for (int k = 0; k < 4; ++k)
        codes[k] = quantizeE4M3(packed[half][2 * k], inverse) | quantizeE4M3(packed[half][2 * k + 1], inverse) << 16;
      storeBlocks(chunk(lane() & 7, half * 4 + (lane() >> 3)), codes);
    }
    storeRows(count, output, [&](int row) { return first + row; }, [](const Words& words) {
      const u32(&w)[4] = words.w;
      return Words{__byte_perm(w[0], w[1], 0x5410), __byte_perm(w[2], w[3], 0x5410), __byte_perm(w[0], w[1], 0x7632),
                   __byte_perm(w[2], w[3], 0x7632)};
    });
  }

  /// Where a chunk of 16 bytes of one of 8 rows lies in the buffer, spread over the banks.
  __device__ __forceinline__ u32 chunk(u32 row, u32 index) const {
    return buffer + row * rowBytes + ((index ^ row / (chunks < 8 ? 8 / chunks : 1)) << 4);
  }
  /// From the buffer to memory: row r, if it is one of `count`, to `place(r)`; neighbouring lanes store neighbouring chunks.
  template <typename Place, typename Order>
  __device__ __forceinline__ void storeRows(int count, int output, Place place, Order order) const {
    constexpr int rowsAtOnce = 32 / chunks;
    const int index = lane() % chunks;
    const bool inside = output + index * (16 / outputBytes) < p.results.width;
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 8; i += rowsAtOnce) {
      const int row = i + lane() / chunks;
      const long long start = ((long long)place(row) * p.results.width + output) * outputBytes;
      const Words words = loadShared(chunk(row, index));
      if (row < count && inside) *(Words*)(p.results.output + start + index * 16) = order(words);
    }
    __syncwarp();
  }
};

struct Epilogue {
  const moe_hopper_grouped_arguments& p;
  u32 buffer;
  int member, place = 0;

  __device__ static Epilogue of(const moe_hopper_grouped_arguments& p, const Memory& memory, int member) {
    return {p, memory.buffers() + (threadIdx.x - copiers >> 5) * WarpEpilogue<mostHalves>::bufferBytes, member};
  }

  /// Before the product, behind which what is fetched comes.
  __device__ __forceinline__ void begin(const Tile& tile) {
    if (DOWN) place = p.sources.rows[tile.first + smaller(firstToken(member, halvesOf(tile)) + (lane() & 15), tile.count - 1)];
  }

  __device__ __forceinline__ void finish(const Tile& tile, Sums& sums) const {
    if (halvesOf(tile) == mostHalves)
      WarpEpilogue<mostHalves>{p, buffer, member, place}.finish(tile, sums);
    else
      WarpEpilogue<1>{p, buffer, member, place}.finish(tile, sums);
  }
};
