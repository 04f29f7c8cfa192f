// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Which experts a token goes to: a warp for each token, by the rules of the routers in Swift, step by step in 32 bits.
#include "moe_device.h"
#include "warp.cuh"

namespace route {

constexpr int tokens = 4;
constexpr int infinityBits = 0x7f800000;

__device__ __forceinline__ bool isFinite(float x) { return fabsf(x) < __int_as_float(infinityBits); }
__device__ __forceinline__ float finiteOrZero(float x) { return isFinite(x) ? x : 0.f; }

/// Greater for what ranks higher: NaN below all numbers, and of equal ones the lowest index first. Never 0.
__device__ __forceinline__ unsigned long long rankKey(float value, int index) {
  const unsigned bits = __float_as_uint(value + 0.f);
  const unsigned order = value != value ? 0 : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return (unsigned long long)order << 32 | (0xffffffffu - (unsigned)index);
}

__device__ __forceinline__ int indexOf(unsigned long long key) { return (int)(0xffffffffu - (unsigned)key); }

__device__ __forceinline__ unsigned long long warpGreatestKey(unsigned long long key) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const unsigned long long other = (unsigned long long)__shfl_xor_sync(allLanes, (unsigned)(key >> 32), distance) << 32
                                     | __shfl_xor_sync(allLanes, (unsigned)key, distance);
    key = other > key ? other : key;
  }
  return key;
}

/// The indices of the greatest values, one after the other: each lane keeps those of every 32nd, at most 1024 in all.
struct TopIndices {
  const float *values;
  int count;
  unsigned taken = 0;

  __device__ TopIndices(const float *values, int count) : values(values), count(count) {}

  /// In every lane.
  __device__ int next() {
    const int lane = threadIdx.x & 31;
    unsigned long long best = 0;
    for (int i = 0; i * 32 + lane < count; i++) {
      if (taken >> i & 1) continue;
      const unsigned long long key = rankKey(values[i * 32 + lane], i * 32 + lane);
      best = key > best ? key : best;
    }
    const int index = indexOf(warpGreatestKey(best));
    if ((index & 31) == lane) taken |= 1u << (index / 32);
    return index;
  }
};

/// The logits of a token become scores, in place.
__device__ __forceinline__ void score(const moe_route_arguments &p, float *scores) {
  const int lane = threadIdx.x & 31;
  if (p.scoring == MOE_SOFTMAX) {
    float greatest = -__int_as_float(infinityBits);
    for (int e = lane; e < p.experts; e += 32) greatest = fmaxf(greatest, scores[e]);
    greatest = warpGreatest(greatest);
    float sum = 0;
    for (int e = lane; e < p.experts; e += 32) {
      scores[e] = expf(scores[e] - greatest);
      sum += scores[e];
    }
    sum = warpSum(sum);
    for (int e = lane; e < p.experts; e += 32) scores[e] /= sum;
  } else {
    for (int e = lane; e < p.experts; e += 32) {
      const float x = scores[e];
      if (p.scoring == MOE_SIGMOID) scores[e] = 1.f / (1.f + expf(-x));
      if (p.scoring == MOE_SQRT_SOFTPLUS) scores[e] = sqrtf(x > 20.f ? x : log1pf(expf(x)));
    }
  }
}

/// Gives the experts of all but the best groups the rank of the mask; false where there is nothing to choose from.
///
/// At most 32 groups: each lane has one.
__device__ __forceinline__ bool keepGroups(const moe_route_arguments &p, float *ranks, float *scores) {
  const int lane = threadIdx.x & 31, size = p.experts / p.groups;
  const float lowest = -__int_as_float(infinityBits);
  for (int e = lane; e < p.experts; e += 32)
    if (!isFinite(ranks[e])) ranks[e] = lowest;
  __syncwarp();
  float best = lowest, second = lowest;
  if (lane < p.groups)
    for (int e = lane * size; e < (lane + 1) * size; e++) {
      second = fmaxf(second, fminf(best, ranks[e]));
      best = fmaxf(best, ranks[e]);
    }
  const float own = p.sums_top_two ? best + second : best;
  unsigned kept = 0;
  float last = 0;
  for (int i = 0; i < p.kept_groups; i++) {
    const bool isOpen = lane < p.groups && !(kept >> lane & 1);
    const unsigned long long key = warpGreatestKey(isOpen ? rankKey(own, lane) : 0);
    kept |= 1u << indexOf(key);
    last = __shfl_sync(allLanes, own, indexOf(key));
  }
  if (!(last > lowest)) return false;
  for (int e = lane; e < p.experts; e += 32)
    if (!(kept >> (e / size) & 1)) {
      ranks[e] = p.mask_value;
      if (!p.keeps_dropped_scores) scores[e] = p.scoring == MOE_SELECTED_SOFTMAX ? lowest : 0.f;
    }
  __syncwarp();
  return true;
}

/// Softmax over the lanes below `count`.
__device__ __forceinline__ float softmaxOfLanes(float value, int count) {
  const bool isIn = (int)(threadIdx.x & 31) < count;
  const float greatest = warpGreatest(isIn ? value : -__int_as_float(infinityBits));
  const float weight = isIn ? expf(value - greatest) : 0.f;
  return weight / warpSum(weight);
}

/// Divides the weights of the lanes below top_k, which are 0 elsewhere.
__device__ __forceinline__ float normalized(const moe_route_arguments &p, float weight) {
  float divisor = 0;
  switch (p.normalization) {
    case MOE_NO_NORMALIZATION: return weight;
    case MOE_SUM: divisor = warpSum(weight) + p.normalization_number; break;
    case MOE_CLAMPED_SUM: divisor = fmaxf(warpSum(weight), p.normalization_number); break;
    default: {
      const float power = p.normalization_number;
      divisor = power == 1.f ? warpSum(fabsf(weight))
                             : powf(warpSum(weight == 0.f ? 0.f : powf(fabsf(weight), power)), 1 / power);
      break;
    }
  }
  return divisor > 0.f ? weight / divisor : weight;
}

}  // namespace route

/// Grid: [tokens / 4], 128 threads.
extern "C" __global__ void moe_route_top(const __grid_constant__ moe_route_arguments p) {
  using namespace route;
  __shared__ float memory[tokens][2][MOE_ROUTE_EXPERTS];
  const int lane = threadIdx.x & 31, token = blockIdx.x * tokens + (threadIdx.x >> 5);
  if (token >= p.tokens) return;
  float *scores = memory[threadIdx.x >> 5][0], *ranks = memory[threadIdx.x >> 5][1];
  const int slot = token * p.top_k + lane;
  const bool isSlot = lane < p.top_k;
  if (p.is_padding && p.is_padding[token]) {
    if (isSlot) {
      p.ids[slot] = -1;
      p.weights[slot] = 0;
    }
    return;
  }
  for (int e = lane; e < p.experts; e += 32) {
    const float x = p.logits[(long long)token * p.experts + e];
    scores[e] = p.soft_cap > 0.f ? p.soft_cap * tanhf(x / p.soft_cap) : x;
    ranks[e] = scores[e];
  }
  __syncwarp();
  score(p, scores);
  __syncwarp();
  for (int e = lane; e < p.experts; e += 32) {
    if (p.groups == 0 && p.scoring != MOE_SELECTED_SOFTMAX) scores[e] = finiteOrZero(scores[e]);
    if (!p.ranks_logits) ranks[e] = scores[e];
    if (p.correction) ranks[e] += p.correction[e];
  }
  __syncwarp();
  int id = 0;
  if (p.ids_are_given) {
    if (isSlot) id = p.ids[slot];
  } else {
    if (p.groups > 0 && !keepGroups(p, ranks, scores)) {
      if (isSlot) {
        p.ids[slot] = lane;
        p.weights[slot] = 1.f / p.top_k;
      }
      return;
    }
    TopIndices top(ranks, p.experts);
    for (int i = 0; i < p.top_k; i++) {
      const int next = top.next();
      if (lane == i) id = next;
    }
    if (isSlot) p.ids[slot] = id;
  }
  float weight = isSlot ? scores[id] : 0.f;
  if (p.scoring == MOE_SELECTED_SOFTMAX) weight = softmaxOfLanes(weight, p.top_k);
  weight = normalized(p, finiteOrZero(weight));
  if (isSlot) p.weights[slot] = weight * p.scale * (p.expert_scale ? p.expert_scale[id] : 1.f);
}

/// SparseMixer: each of two picks is weighted by a softmax over the experts close to it. Grid: [tokens / 4], 128 threads.
extern "C" __global__ void moe_route_sparse_mixer(const __grid_constant__ moe_route_arguments p) {
  using namespace route;
  __shared__ float memory[tokens][MOE_ROUTE_EXPERTS];
  const int lane = threadIdx.x & 31, token = blockIdx.x * tokens + (threadIdx.x >> 5);
  if (token >= p.tokens) return;
  float *logits = memory[threadIdx.x >> 5];
  const bool isPadding = p.is_padding && p.is_padding[token];
  for (int e = lane; e < p.experts; e += 32) logits[e] = p.logits[(long long)token * p.experts + e];
  __syncwarp();
  TopIndices top(logits, p.experts);
  const int first = top.next(), second = top.next();
  for (int i = 0; i < 2; i++) {
    const int id = i == 0 ? first : second;
    const float greatest = logits[id];
    // Softmax around the pick: all that are near are at most as great as it, but for what was picked first.
    float sum = 0;
    for (int e = lane; e < p.experts; e += 32) {
      if (e != id && e == first) continue;
      const bool isFar = (greatest - logits[e]) / fmaxf(fabsf(logits[e]), greatest) > 2 * p.jitter;
      if (!isFar) sum += expf(logits[e] - greatest);
    }
    sum = warpSum(sum);
    const bool isNear = !((greatest - greatest) / fmaxf(fabsf(greatest), greatest) > 2 * p.jitter);
    if (lane == 0) {
      p.ids[token * 2 + i] = isPadding ? -1 : id;
      p.weights[token * 2 + i] = isPadding || !isNear ? 0.f : finiteOrZero(1.f / sum);
    }
  }
}
