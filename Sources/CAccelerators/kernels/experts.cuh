// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Which experts a few tokens go to: found by every block for itself, in shared memory.
#pragma once
#include "barrier.cuh"

/// At most this many tokens; more go the way of the sorted rows.
constexpr int maxTokens = MOE_HOPPER_STREAM_TOKENS;
/// At most this many (token, slot) pairs: 8 tokens of 32 slots.
constexpr int maxPairs = MOE_HOPPER_STREAM_PAIRS;
constexpr int maxExperts = MOE_HOPPER_EXPERTS;

/// The experts that have a token, ascending, and what goes to each.
struct TouchedExperts {
  int count;
  u16 expert[maxPairs];
  /// Bit t: token t goes there.
  u8 tokens[maxPairs];
  /// [count, tokens]: the router's weight, summed over a token's slots in their order.
  float weight[maxPairs * maxTokens];
  u32 present[maxExperts / 32];
  int ids[maxPairs];
  float slotWeights[maxPairs];

  /// Before `find`, and before what it reads is there.
  __device__ void clear() {
    for (int i = threadIdx.x; i < maxExperts / 32; i += blockDim.x) present[i] = 0;
    for (int i = threadIdx.x; i < maxPairs; i += blockDim.x) tokens[i] = 0;
    __syncthreads();
  }

  /// Every thread of the block calls it; a slot without an expert is skipped.
  __device__ void find(const int* topKIds, const float* topKWeights, int tokenCount, int topK, int expertCount) {
    const int pairs = tokenCount * topK, pair = threadIdx.x;
    if (pair < pairs) {
      const int id = isExpert(topKIds[pair], expertCount) ? topKIds[pair] : -1;
      slotWeights[pair] = topKWeights[pair];
      ids[pair] = id;
      if (id >= 0) atomicOr(&present[id >> 5], 1u << (id & 31));
    }
    __syncthreads();
    if (threadIdx.x == blockDim.x - 1) count = rank(expertCount);
    if (pair < pairs && ids[pair] >= 0) {
      const int id = ids[pair], token = pair / topK, index = rank(id);
      expert[index] = (u16)id;
      atomicOr((u32*)&tokens[index & ~3], 1u << ((index & 3) * 8 + token));
      float sum = 0;
      bool first = true;
#pragma unroll 8
      for (int other = token * topK; other < (token + 1) * topK; ++other) {
        const bool isSame = ids[other] == id;
        first = first && !(isSame && other < pair);
        sum += isSame ? slotWeights[other] : 0.f;
      }
      if (first) weight[index * tokenCount + token] = sum;
    }
    __syncthreads();
  }

 private:
  /// How many touched experts come before `id`.
  __device__ int rank(int id) const {
    int before = 0;
#pragma unroll 4
    for (int word = 0; word < (id >> 5); ++word) before += __popc(present[word]);
    return (id & 31) ? before + __popc(present[id >> 5] & ((1u << (id & 31)) - 1)) : before;
  }
};
