// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What one warp makes of a stage: 16 rows times at most 8 tokens, by the form of weights.
#pragma once
#include "e4m3.cuh"
#include "mma.cuh"
#include "stream_ring.cuh"

/// What is loaded is loaded before anything is computed of it, and sums are two chains: a scheduler has two warps only to hide
/// what they wait for.
__device__ __forceinline__ void add(mma::Sums& sums, const mma::Sums& other) {
#pragma unroll
  for (int i = 0; i < 4; ++i) sums.c[i] += other.c[i];
}

#if TILED
/// Integers of one scale for the block: sums of the codes and 128, and of the tokens alone, from which 128 and the zero point
/// times those are taken. That is less than a difference and a product for each pair of weights, where sums are few.
template <bool whole>
__device__ __forceinline__ void multiplyIntegers(
  mma::Sums& sums, const Words& low, const Words& high, u32 lowNumbers, u32 highNumbers, const u32 (&x)[4][4], int steps) {
  constexpr u32 one = 0x3f803f80u;
  mma::Sums products = {}, tokens = {};
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    u32 a[4], b[4];
    codes::moreThan128(low, j, a);
    codes::moreThan128(high, j, b);
#pragma unroll
    for (int k = 0; k < 2; ++k)
      if (whole || j * 2 + k < steps) {
        mma::addBF16(products, a[2 * k], b[2 * k], a[2 * k + 1], b[2 * k + 1], x[j][2 * k], x[j][2 * k + 1]);
        mma::addBF16(tokens, one, one, one, one, x[j][2 * k], x[j][2 * k + 1]);
      }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const u32 numbers = i < 2 ? lowNumbers : highNumbers;
    sums.c[i] = fmaf(lowBF16(numbers), fmaf(-highBF16(numbers), tokens.c[i], products.c[i]), sums.c[i]);
  }
}

/// The 128 columns of a block, of which `steps` times 16 are there; a lane gives the address of 8 columns of a token.
template <bool whole>
__device__ __forceinline__ void multiplyBlock(
  mma::Sums (&sums)[2], const codes::Place& low, const codes::Place& high, u32 token, int steps) {
  u32 x[4][4];
#pragma unroll
  for (int j = 0; j < 4; ++j) mma::loadRight(x[j], token + j * 64);
  Words lowParts[codes::parts], highParts[codes::parts];
#pragma unroll
  for (int part = 0; part < codes::parts; ++part) {
    lowParts[part] = codes::load(low, part);
    highParts[part] = codes::load(high, part);
  }
  const codes::Scales lowScales = codes::loadScales(low), highScales = codes::loadScales(high);
  if constexpr (WEIGHTS == INT4_128) {
    multiplyIntegers<whole>(sums[0], lowParts[0], highParts[0], lowScales.w[0], highScales.w[0], x, steps);
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    u32 a[4], b[4];
    codes::widen(lowParts[j * codes::parts / 4], lowScales, j, a);
    codes::widen(highParts[j * codes::parts / 4], highScales, j, b);
#pragma unroll
    for (int k = 0; k < 2; ++k)
      if (whole || j * 2 + k < steps)
        mma::addBF16(sums[k], a[2 * k], b[2 * k], a[2 * k + 1], b[2 * k + 1], x[j][2 * k], x[j][2 * k + 1]);
  }
}

/// This warp's blocks of a stage, which the warps take in turns, added to `sums`.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, u32 mask, int chunk, int columns, int) {
  constexpr int warpBlocks = chunkBlocks / warps;
  static_assert(warpBlocks * warps == chunkBlocks, "a warp multiplies blocks");
  const int warp = uniform(threadIdx.x / 32 % warps), row = lane() & 7, count = columns - chunk * chunkColumns;
  mma::Sums parts[2] = {sums};
#pragma unroll
  for (int i = 0; i < warpBlocks; ++i) {
    const int block = i * warps + warp, steps = (count - block * scaleBlock) / 16;
    if (steps <= 0) break;
    const codes::Place low(ring.weights() + block * codes::tileBytes), high = low.after(weightStageBytes / 2);
    const u32 token = (mask >> row & 1 ? ring.tokens() + row * tokenPitch + block * scaleBlock * 2 : ring.zeros) + (lane() >> 3) * 16;
    if (steps >= scaleBlock / 16)
      multiplyBlock<true>(parts, low, high, token, steps);
    else
      multiplyBlock<false>(parts, low, high, token, steps);
  }
  sums = parts[0];
  add(sums, parts[1]);
}
#else
/// This warp's columns of a stage, added to `sums`.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, u32 mask, int chunk, int columns, int tokenCount) {
  const int warp = threadIdx.x / 32 % warps, g = lane() >> 2, t = lane() & 3;
  const int bytes = smaller(chunkColumns, columns - chunk * chunkColumns) * weightBytes;
  const u32 pitch = weightPitch(columns), rows = ring.weights() + g * pitch, token = ring.tokens() + g * tokenPitch;
  const bool routed = mask >> g & 1;
  const Words none = {};
#if WEIGHTS == BF16
  constexpr int steps = warpBytes / 64;
  if (warp * warpBytes >= bytes) return;
  Words low[steps], high[steps], x[steps];
#pragma unroll
  for (int step = 0; step < steps; ++step) {
    const int offset = warp * warpBytes + step * 64 + t * 16;
    const bool inside = offset < bytes;
    low[step] = inside ? loadShared(rows + offset) : none;
    high[step] = inside ? loadShared(rows + 8 * pitch + offset) : none;
    x[step] = inside && routed ? loadShared(token + offset) : none;
  }
  mma::Sums odd = {};
#pragma unroll
  for (int i = 0; i < steps; ++i) {
    mma::addBF16(sums, low[i].w[0], high[i].w[0], low[i].w[1], high[i].w[1], x[i].w[0], x[i].w[1]);
    mma::addBF16(odd, low[i].w[2], high[i].w[2], low[i].w[3], high[i].w[3], x[i].w[2], x[i].w[3]);
  }
  add(sums, odd);
#else
  static_assert(warpBytes % scaleBlock == 0, "a warp multiplies blocks of scales");
#pragma unroll
  for (int part = 0; part < warpBytes / scaleBlock; ++part) {
    const int start = warp * warpBytes + part * scaleBlock;
    if (start >= bytes) break;
    // The token's 128 values become e4m3 with a scale of their own; 4 lanes share a token. Weights and tokens are then
    // multiplied as fp16, exactly: the tensor cores' own e4m3 is for whole warpgroups only.
    Words x[4];
    u32 bits = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int offset = start + (i >> 1) * 64 + t * 16;
      x[i] = offset < bytes && routed ? loadShared(token + offset * 2 + (i & 1) * 16) : none;
    }
    Words low[2], high[2];
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      const int offset = start + step * 64 + t * 16;
      low[step] = offset < bytes ? loadShared(rows + offset) : none;
      high[step] = offset < bytes ? loadShared(rows + 8 * pitch + offset) : none;
    }
    const u32 scales = ring.scales(tokenCount) + start / scaleBlock * 4;
    const float first = loadSharedFloat(scales), second = loadSharedFloat(scales + scaleBytes / 2);
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) bits = greaterHalves(bits, x[i].w[j] & 0x7fff7fffu);
    bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, 1));
    bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, 2));
    const float greatest = fmaxf(fmaxf(lowBF16(bits), highBF16(bits)), 1e-10f);
    const float scale = greatest * (widenedScale / 448.f), inverse = 448.f * reciprocal(greatest);
    mma::Sums block[2] = {};
#pragma unroll
    for (int step = 0; step < 2; ++step) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const u32 a = x[step * 2 + i / 2].w[i % 2 * 2], b = x[step * 2 + i / 2].w[i % 2 * 2 + 1];
        const u32 even = unpackE4M3(packE4M3(lowBF16(a) * inverse, lowBF16(b) * inverse));
        const u32 odd = unpackE4M3(packE4M3(highBF16(a) * inverse, highBF16(b) * inverse));
        u32 lowEven, lowOdd, highEven, highOdd;
        widenE4M3(low[step].w[i], lowEven, lowOdd);
        widenE4M3(high[step].w[i], highEven, highOdd);
        mma::addF16(block[i & 1], lowEven, highEven, lowOdd, highOdd, even, odd);
      }
    }
    const float even = __shfl_sync(~0u, scale, t * 8), odd = __shfl_sync(~0u, scale, t * 8 + 4);
    sums.c[0] += (block[0].c[0] + block[1].c[0]) * (even * first);
    sums.c[1] += (block[0].c[1] + block[1].c[1]) * (odd * first);
    sums.c[2] += (block[0].c[2] + block[1].c[2]) * (even * second);
    sums.c[3] += (block[0].c[3] + block[1].c[3]) * (odd * second);
  }
#endif
}
#endif
