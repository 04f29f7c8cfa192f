// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What one warp makes of a stage: 16 rows times at most 8 tokens, by the form of weights.
#pragma once
#include "e4m3.cuh"
#include "mma.cuh"
#include "stream_ring.cuh"

#if WEIGHTS == MXFP4
/// This warp's columns of a stage, added to `sums`.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, u32 mask, int chunk, int columns, int) {
  constexpr int warpBlocks = chunkBlocks / warps;
  static_assert(warpBlocks * warps == chunkBlocks, "a warp multiplies blocks");
  const int warp = threadIdx.x / 32 % warps, g = lane() >> 2, t = lane() & 3, count = columns - chunk * chunkColumns;
  const u32 routed = mask >> g & 1 ? ~0u : 0, token = ring.tokens() + (g & routed) * tokenPitch + t * 4;
#pragma unroll
  for (int part = 0; part < warpBlocks; ++part) {
    const int block = warp * warpBlocks + part;
    if (block * scaleBlock >= count) break;
    const u32 low = ring.weights() + block * fp4::tileBytes, high = low + weightStageBytes / 2;
    const Words lowCodes = loadShared(low + lane() * 16), highCodes = loadShared(high + lane() * 16);
    const u32 lowScales = fp4::scales(low + 8 * fp4::rowBytes + g * 4), highScales = fp4::scales(high + 8 * fp4::rowBytes + g * 4);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      u32 a[4], b[4];
      fp4::widen(lowCodes.w[j], fp4::factor(lowScales, j), a);
      fp4::widen(highCodes.w[j], fp4::factor(highScales, j), b);
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const int column = block * scaleBlock + j * 32 + k * 16;
        const u32 there = column < count ? routed : 0;
        mma::addBF16(sums, a[2 * k], b[2 * k], a[2 * k + 1], b[2 * k + 1], loadSharedWord(token + column * 2) & there,
                     loadSharedWord(token + column * 2 + 16) & there);
      }
    }
  }
}
#else
/// This warp's columns of a stage, added to `sums`.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, u32 mask, int chunk, int columns, int tokenCount) {
  const int warp = threadIdx.x / 32 % warps, g = lane() >> 2, t = lane() & 3;
  const int bytes = smaller(CHUNK, (columns - chunk * chunkColumns) * weightBytes);
  const int pitch = weightPitch(columns);
  const u32 rows = ring.weights() + g * pitch, token = ring.tokens() + g * tokenPitch;
  const bool routed = mask >> g & 1;
  const Words none = {};
#if WEIGHTS == BF16
#pragma unroll
  for (int step = 0; step < warpBytes; step += 64) {
    const int start = warp * warpBytes + step, offset = start + t * 16;
    if (start >= bytes) break;
    const bool inside = offset < bytes;
    const Words low = inside ? loadShared(rows + offset) : none;
    const Words high = inside ? loadShared(rows + 8 * pitch + offset) : none;
    const Words x = inside && routed ? loadShared(token + offset) : none;
    mma::addBF16(sums, low.w[0], high.w[0], low.w[1], high.w[1], x.w[0], x.w[1]);
    mma::addBF16(sums, low.w[2], high.w[2], low.w[3], high.w[3], x.w[2], x.w[3]);
  }
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
#pragma unroll
      for (int j = 0; j < 4; ++j) bits = greaterHalves(bits, x[i].w[j] & 0x7fff7fffu);
    }
    bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, 1));
    bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, 2));
    const float greatest = fmaxf(fmaxf(lowBF16(bits), highBF16(bits)), 1e-10f);
    const float scale = greatest * (widenedScale / 448.f), inverse = 448.f * reciprocal(greatest);
    mma::Sums block[2] = {};
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      const int offset = start + step * 64 + t * 16;
      const bool inside = offset < bytes;
      const Words low = inside ? loadShared(rows + offset) : none;
      const Words high = inside ? loadShared(rows + 8 * pitch + offset) : none;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const u32 a = x[step * 2 + i / 2].w[i % 2 * 2], b = x[step * 2 + i / 2].w[i % 2 * 2 + 1];
        const u32 even = unpackE4M3(packE4M3(lowBF16(a) * inverse, lowBF16(b) * inverse));
        const u32 odd = unpackE4M3(packE4M3(highBF16(a) * inverse, highBF16(b) * inverse));
        u32 lowEven, lowOdd, highEven, highOdd;
        widenE4M3(low.w[i], lowEven, lowOdd);
        widenE4M3(high.w[i], highEven, highOdd);
        mma::addF16(block[i & 1], lowEven, highEven, lowOdd, highOdd, even, odd);
      }
    }
    const u32 scales = ring.scales(tokenCount) + start / scaleBlock * 4;
    const float even = __shfl_sync(~0u, scale, t * 8), odd = __shfl_sync(~0u, scale, t * 8 + 4);
    const float first = loadSharedFloat(scales), second = loadSharedFloat(scales + scaleBytes / 2);
    sums.c[0] += (block[0].c[0] + block[1].c[0]) * (even * first);
    sums.c[1] += (block[0].c[1] + block[1].c[1]) * (odd * first);
    sums.c[2] += (block[0].c[2] + block[1].c[2]) * (even * second);
    sums.c[3] += (block[0].c[3] + block[1].c[3]) * (odd * second);
  }
#endif
}
#endif
