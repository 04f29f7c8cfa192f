// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What one warp makes of a stage: 16 rows times at most 8 tokens, by the form of weights.
#pragma once
#include "e2m1.cuh"
#include "e4m3.cuh"
#include "mma.cuh"
#include "stream_walk.cuh"

/// What is loaded is loaded before anything is computed of it, and sums are two chains: a scheduler has two warps only to hide
/// what they wait for.
__device__ __forceinline__ void add(mma::Sums& sums, const mma::Sums& other) {
#pragma unroll
  for (int i = 0; i < 4; ++i) sums.c[i] += other.c[i];
}

#if WEIGHTS == MXFP4_E4M3
/// This warp's blocks of a stage, which the warps take in turns, added to `sums`. Codes are multiplied as fp16, exactly. Beyond a
/// row's end all are 0.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, const Walk& walk, u32 mask, int chunk, int tokenCount) {
  constexpr int warpBlocks = chunkBlocks / warps;
  const int warp = ring.member(), g = lane() >> 2, t = lane() & 3, count = walk.columns - chunk * chunkColumns;
  const u32 scales = tokenScales(ring.scales(tokenCount), t * 2);
  const float even = mask >> t * 2 & 1 ? loadSharedFloat(scales) : 0.f, odd = mask >> t * 2 & 2 ? loadSharedFloat(scales + 4) : 0.f;
  mma::Sums scaled = {};
#pragma unroll 2
  for (int i = 0; i < warpBlocks; ++i) {
    const int block = i * warps + warp;
    if (block * scaleBlock >= count) break;
    const codes::Place low(ring.weights() + block * codes::tileBytes), high = low.after(weightStageBytes / 2);
    const u32 token = ring.tokens() + g * tokenPitch + block * scaleBlock * 2 + t * 16;
    Words x[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) x[j] = mask >> g & 1 ? loadShared(token + j * 64) : Words{};
    const Words lowCodes = codes::load(low, 0), highCodes = codes::load(high, 0);
    const codes::Scales lowScales = codes::loadScales(low), highScales = codes::loadScales(high);
    const auto lowTable = codes::Magnitudes::f16(lowScales), highTable = codes::Magnitudes::f16(highScales);
    mma::Sums products[2] = {};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      u32 a[2], b[2];
      codes::choose(lowCodes.w[j], lowTable, a[0], a[1]);
      codes::choose(highCodes.w[j], highTable, b[0], b[1]);
#pragma unroll
      for (int k = 0; k < 2; ++k)
        mma::addF16(products[k], codes::f16(a[k], 0), codes::f16(b[k], 0), codes::f16(a[k], 1), codes::f16(b[k], 1),
                    x[j].w[2 * k], x[j].w[2 * k + 1]);
    }
    add(products[0], products[1]);
    const float factors[2] = {codes::rowFactor(lowScales), codes::rowFactor(highScales)};
#pragma unroll
    for (int c = 0; c < 4; ++c) scaled.c[c] = fmaf(products[0].c[c], factors[c / 2], scaled.c[c]);
  }
#pragma unroll
  for (int c = 0; c < 4; ++c) sums.c[c] = fmaf(scaled.c[c], (c % 2 ? odd : even) * codes::restoredF16, sums.c[c]);
}
#elif TILED
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
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, const Walk& walk, u32 mask, int chunk, int) {
  constexpr int warpBlocks = chunkBlocks / warps;
  static_assert(warpBlocks * warps == chunkBlocks, "a warp multiplies blocks");
  const int warp = ring.member(), row = lane() & 7, count = walk.columns - chunk * chunkColumns;
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
#elif WEIGHTS == BF16
/// This warp's columns of a stage, added to `sums`. Beyond a row's end weights are 0, and tokens count as 0.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, const Walk& walk, u32 mask, int chunk, int) {
  constexpr int warpBytes = CHUNK / warps, steps = warpBytes / 64;
  const int warp = ring.member(), g = lane() >> 2, t = lane() & 3;
  const int bytes = smaller(chunkColumns, walk.columns - chunk * chunkColumns) * weightBytes;
  if (warp * warpBytes >= bytes) return;
  const u32 rows = ring.weights() + g * CHUNK, token = ring.tokens() + g * tokenPitch;
  const bool routed = mask >> g & 1;
  Words low[steps], high[steps], x[steps];
#pragma unroll
  for (int step = 0; step < steps; ++step) {
    const int offset = warp * warpBytes + step * 64 + t * 16;
    low[step] = loadShared(rows + offset);
    high[step] = loadShared(rows + 8 * CHUNK + offset);
    x[step] = routed && offset < bytes ? loadShared(token + offset) : Words{};
  }
  mma::Sums odd = {};
#pragma unroll
  for (int i = 0; i < steps; ++i) {
    mma::addBF16(sums, low[i].w[0], high[i].w[0], low[i].w[1], high[i].w[1], x[i].w[0], x[i].w[1]);
    mma::addBF16(odd, low[i].w[2], high[i].w[2], low[i].w[3], high[i].w[3], x[i].w[2], x[i].w[3]);
  }
  add(sums, odd);
}
#else
/// This warp's blocks of a stage, which the warps take in turns, added to `sums`. Codes are multiplied as fp16, exactly: the
/// tensor cores' own e4m3 is for whole warpgroups only. Beyond a row's end all are 0.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, const Walk& walk, u32 mask, int chunk, int tokenCount) {
  const int warp = ring.member(), g = lane() >> 2, t = lane() & 3;
  const int count = smaller(chunkColumns, walk.columns - chunk * chunkColumns);
  const u32 rows = ring.weights() + g * CHUNK, token = ring.tokens() + g * tokenPitch, scales = ring.scales(tokenCount);
  // Of rows g and g + 8.
  const u32 firstScales = scales + (tokensHaveFactors ? g * 4 : g >= walk.scaleBreak() ? weightScaleBytes : 0);
  const u32 secondScales = scales + (tokensHaveFactors ? g * 4 + weightScaleBytes : g + 8 >= walk.scaleBreak() ? weightScaleBytes : 0);
  const bool routed = mask >> g & 1, isEven = mask >> t * 2 & 1, isOdd = mask >> t * 2 & 2;
  // All loads come first, also of blocks that a short row doesn't have, whose scales count as 0: nobody else hides what they
  // wait for.
  constexpr int blocks = chunkBlocks / warps, scaled = tokensHaveFactors ? 1 : blocks;
  Words low[blocks][2], high[blocks][2], x[blocks][2];
  float first[scaled], second[scaled], even[scaled], odd[scaled];
#pragma unroll
  for (int i = 0; i < blocks; ++i) {
    const int block = i * warps + warp;
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      const int offset = step * 64 + t * 16;
      low[i][step] = loadShared(rows + block * scaleBlock + offset);
      high[i][step] = loadShared(rows + 8 * CHUNK + block * scaleBlock + offset);
      x[i][step] = routed ? loadShared(token + block * codePitch + offset) : Words{};
    }
  }
#pragma unroll
  for (int i = 0; i < scaled; ++i) {
    const int block = tokensHaveFactors ? 0 : i * warps + warp;
    const bool inside = block * scaleBlock < count;
    first[i] = inside ? loadSharedFloat(firstScales + block * 4) : 0.f;
    second[i] = inside ? loadSharedFloat(secondScales + block * 4) : 0.f;
    const u32 ofTokens = tokenScales(scales, t * 2) + block * tokenScaleBytes;
    even[i] = isEven && inside ? loadSharedFloat(ofTokens) : 0.f;
    odd[i] = isOdd && inside ? loadSharedFloat(ofTokens + 4) : 0.f;
  }
  mma::Sums products[scaled][2] = {};
#pragma unroll
  for (int i = 0; i < blocks; ++i)
#pragma unroll
    for (int step = 0; step < 2; ++step)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const u32 a = low[i][step].w[j], b = high[i][step].w[j], c = x[i][step].w[j];
        mma::addF16(products[i % scaled][j & 1], unpackE4M3(a), unpackE4M3(b), unpackE4M3(a >> 16), unpackE4M3(b >> 16),
                    unpackE4M3(c), unpackE4M3(c >> 16));
      }
#pragma unroll
  for (int i = 0; i < scaled; ++i) {
    add(products[i][0], products[i][1]);
    sums.c[0] += products[i][0].c[0] * (even[i] * first[i]);
    sums.c[1] += products[i][0].c[1] * (odd[i] * first[i]);
    sums.c[2] += products[i][0].c[2] * (even[i] * second[i]);
    sums.c[3] += products[i][0].c[3] * (odd[i] * second[i]);
  }
}
#endif
