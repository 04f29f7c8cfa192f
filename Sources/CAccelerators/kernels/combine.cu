// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// y[t] = Σ weight[t, s] · rows[t, s], in the order of the slots, in 32 bits. A slot without an expert counts for nothing.
#include "barrier.cuh"

constexpr int threads = 256;

__device__ __forceinline__ Words loadOnce(const u16* source) {
  Words v;
  asm volatile("ld.global.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3]) : "l"(source));
  return v;
}

extern "C" __global__ void __launch_bounds__(threads) experts_combine(const __grid_constant__ moe_hopper_combine_arguments p) {
  barrier::waitForPreviousKernel();
  barrier::releaseNextKernel();
  const int perToken = p.hidden / 8;
  const int pieces = p.tokenCount * perToken;
  for (int piece = blockIdx.x * threads + threadIdx.x; piece < pieces; piece += gridDim.x * threads) {
    const int token = piece / perToken, column = (piece % perToken) * 8;
    const u16* row = p.rows + (long long)token * p.topK * p.hidden + column;
    float sum[8] = {};
    bool any = false;
    for (int first = 0; first < p.topK; first += 4) {
      Words part[4];
      float weight[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int slot = first + i, pair = token * p.topK + slot;
        const bool there = slot < p.topK && isExpert(p.ids[pair], p.experts);
        any = any || there;
        part[i] = there ? loadOnce(row + (long long)slot * p.hidden) : Words{};
        weight[i] = !there ? 0.f : p.weights ? p.weights[pair] : 1.f;
      }
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          sum[2 * j] = fmaf(weight[i], lowBF16(part[i].w[j]), sum[2 * j]);
          sum[2 * j + 1] = fmaf(weight[i], highBF16(part[i].w[j]), sum[2 * j + 1]);
        }
    }
    if (p.places && !any) continue;
    const long long place = (long long)(p.places ? p.places[token] : token) * p.hidden + column;
    if (p.outputIsFloat) {
      float4* output = (float4*)((float*)p.output + place);
      output[0] = make_float4(sum[0], sum[1], sum[2], sum[3]);
      output[1] = make_float4(sum[4], sum[5], sum[6], sum[7]);
      continue;
    }
    Words result;
#pragma unroll
    for (int j = 0; j < 4; ++j) result.w[j] = packBF16(sum[2 * j], sum[2 * j + 1]);
    *(Words*)((u16*)p.output + place) = result;
  }
}
