// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What codes and scales of activations stand for, by the rules of `ActivationScheme.apply`, step by step in 32 bits.
#include "numbers.cuh"

namespace quantize {

/// The nearest number with so many bits of mantissa, ties to even, saturating; exponents below the least share its unit.
__device__ __forceinline__ float rounded(float x, int mantissaBits, int leastExponent, float greatest) {
  if (x != x) return x;
  const float magnitude = fminf(fabsf(x), greatest);
  const int exponent = max((int)(__float_as_uint(magnitude) >> 23) - 127, leastExponent);
  const float unit = __uint_as_float((unsigned)(127 + exponent - mantissaBits) << 23);
  return copysignf(rintf(magnitude / unit) * unit, x);
}
__device__ __forceinline__ float e4m3(float x) { return rounded(x, 3, -6, 448.f); }
__device__ __forceinline__ float e2m1(float x) { return rounded(x, 1, 0, 6.f); }

/// The power of two at or above a number, as an e8m0 scale.
__device__ __forceinline__ float powerAbove(float x) {
  const unsigned bits = __float_as_uint(x);
  if (bits <= 0x00400000u) return floatOfE8M0(0);
  return floatOfE8M0((unsigned char)min((bits >> 23) + ((bits & 0x7fffff) ? 1 : 0), 254u));
}

/// The scale of 32 e2m1 codes: the greatest magnitude, its mantissa rounded at 1.5, down to a power of two, / 4.
__device__ __forceinline__ float mxfp4Scale(float greatest) {
  const int exponent = max((int)((__float_as_uint(greatest) + 0x200000u) >> 23), 1) - 127 - 2;
  return floatOfE8M0((unsigned char)(min(max(exponent, -127), 127) + 127));
}

__device__ __forceinline__ bool hasGreatestOfAll(int scheme) {
  return scheme == MOE_FP8_TENSOR || scheme == MOE_INT8_TENSOR || scheme == MOE_NVFP4;
}

__device__ __forceinline__ float clampCode(float code, float least, float greatest) {
  return fmaxf(least, fminf(code, greatest));
}

/// A row of the input on its way.
struct Row {
  const moe_quantize_arguments &p;
  long long place;
  float weight;

  __device__ Row(const moe_quantize_arguments &p, int row) : p(p), place((long long)row * p.columns), weight(1) {
    if (!p.slot_of_row) return;
    const int slot = p.slot_of_row[row];
    place = (long long)(slot / p.top_k) * p.columns;
    if (p.weights) weight = p.weights[slot];
  }
  __device__ float operator[](int column) const { return weight * number(p.input, p.input_number, place + column); }

  /// The greatest magnitude of some columns, in every lane.
  __device__ float greatest(int first, int end) const {
    float value = 0;
    for (int column = first + (threadIdx.x & 31); column < end; column += 32) value = fmaxf(value, fabsf((*this)[column]));
    return warpGreatest(value);
  }
};

/// What a scheme does to the values that share a scale, whose greatest magnitude is `greatest`.
struct Rule {
  int scheme;
  /// What values are multiplied or divided by, and codes multiplied by.
  float factor, scale, divisor;

  __device__ Rule(const moe_quantize_arguments &p, float greatest) : scheme(p.scheme), factor(1), scale(1), divisor(1) {
    constexpr float leastFP8 = 1.f / (448 * 512);
    switch (scheme) {
      case MOE_FP8_TENSOR:
        scale = p.is_static ? p.scale : fmaxf(greatest / 448, leastFP8);
        factor = 1 / scale;
        break;
      case MOE_INT8_TENSOR: scale = p.is_static ? p.scale : fmaxf(greatest / 127, 1e-10f); break;
      case MOE_FP8_TOKEN: scale = fmaxf(fminf(greatest, p.limit) / 448, leastFP8); break;
      case MOE_INT8_TOKEN: {
        const float bound = fmaxf(fminf(greatest, p.limit), 1e-10f);
        factor = 127 / bound;
        scale = bound / 127;
        break;
      }
      case MOE_FP8_GROUP:
        scale = fmaxf(greatest, 1e-10f) / 448;
        if (p.is_power_of_two) scale = powerAbove(scale);
        break;
      case MOE_MXFP8: scale = powerAbove(greatest / 448); break;
      case MOE_MXFP4: scale = mxfp4Scale(greatest); break;
      default: {
        divisor = p.is_static ? 1 / p.scale : 2688 / fmaxf(__uint_as_float(*p.greatest), 1e-8f);
        scale = e4m3(divisor * (greatest / 6));
        factor = scale == 0 ? 0 : divisor / scale;
        break;
      }
    }
  }

  __device__ float operator()(float x) const {
    switch (scheme) {
      case MOE_FP8_TENSOR: return e4m3(x * factor) * scale;
      case MOE_INT8_TENSOR: return clampCode(rintf(x / scale), -128, 127) * scale;
      case MOE_INT8_TOKEN: return clampCode(roundf(x * factor), -127, 127) * scale;
      case MOE_MXFP4: return e2m1(x / scale) * scale;
      case MOE_NVFP4: return e2m1(x * factor) * scale / divisor;
      default: return e4m3(x / scale) * scale;
    }
  }
};

}  // namespace quantize

/// Grid: any, 256 threads: a warp for each row. `greatest` is 0 before.
extern "C" __global__ void moe_quantize_greatest(const __grid_constant__ moe_quantize_arguments p) {
  using namespace quantize;
  for (int row = blockIdx.x * 8 + (threadIdx.x >> 5); row < *p.rows; row += gridDim.x * 8) {
    const float value = Row(p, row).greatest(0, p.columns);
    // Magnitudes are ordered as their bits are.
    if ((threadIdx.x & 31) == 0) atomicMax(p.greatest, __float_as_uint(value));
  }
}

/// Grid: any, 256 threads: a warp for what shares a scale.
extern "C" __global__ void moe_quantize(const __grid_constant__ moe_quantize_arguments p) {
  using namespace quantize;
  const int groups = (p.columns + p.group - 1) / p.group, lane = threadIdx.x & 31;
  const long long count = (long long)*p.rows * groups;
  for (long long index = blockIdx.x * 8 + (threadIdx.x >> 5); index < count; index += gridDim.x * 8) {
    const int row = (int)(index / groups), first = (int)(index % groups) * p.group;
    const int end = min(first + p.group, p.columns);
    const Row input(p, row);
    const bool isOfAll = hasGreatestOfAll(p.scheme) && p.scheme != MOE_NVFP4;
    const Rule rule(p, isOfAll ? (p.is_static ? 0.f : __uint_as_float(*p.greatest)) : input.greatest(first, end));
    for (int column = first + lane; column < end; column += 32)
      p.output[(long long)row * p.columns + column] = rule(input[column]);
  }
}
