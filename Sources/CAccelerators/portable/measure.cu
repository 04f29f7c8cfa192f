// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What a device can do at most: how fast it reads its memory, and how fast it multiplies what is in registers or in
// shared memory.
#include "numbers.cuh"
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#include "wgmma.cuh"
#endif

namespace measure {

__device__ __forceinline__ unsigned randomBits(unsigned index) {
  unsigned bits = index * 0x9e3779b9u;
  bits ^= bits >> 15;
  bits *= 0x85ebca6bu;
  return bits ^ bits >> 13;
}

/// A bf16 of random sign and fraction, between 1/64 and 1/32 in magnitude: power and so clocks depend on the bits.
__device__ __forceinline__ unsigned short randomBF16(unsigned index) {
  return (unsigned short)((randomBits(index) & 0x807f) | 121 << 7);
}

__device__ __forceinline__ unsigned randomPair(unsigned index) {
  return randomBF16(2 * index) | (unsigned)randomBF16(2 * index + 1) << 16;
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
/// Products of wgmma from shared memory: 64 rows for each of two warpgroups, and 128 that both multiply, of 128 bytes.
template <bool isE4M3> __device__ __forceinline__ float products(int rounds) {
  __shared__ __align__(1024) unsigned operands[(2 * 64 + 128) * 32];
  for (int i = threadIdx.x; i < (2 * 64 + 128) * 32; i += 256)
    // As bytes that are neither NaN nor all alike: random signs and fractions.
    operands[i] = isE4M3 ? (randomBits(i) & 0x87878787u) | 0x30303030u : randomPair(i);
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  const unsigned address = (unsigned)__cvta_generic_to_shared(operands);
  const auto a = wgmma::descriptor(address + threadIdx.x / 128 * 64 * 128), b = wgmma::descriptor(address + 2 * 64 * 128);
  float sums[64] = {};
  for (int round = 0; round < rounds; round++) {
    wgmma::begin();
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const auto column = wgmma::descriptorBytes(32 * (i % 4));
      if (isE4M3)
        wgmma::Product<128>::e4m3(sums, a + column, b + column, true);
      else
        wgmma::Product<128>::bf16(sums, a + column, b + column, true);
    }
    wgmma::commit();
    wgmma::wait<0>();
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < 64; i++) total += sums[i];
  return total;
}
#endif

}  // namespace measure

/// Reads all words once. Grid: any, 512 threads.
extern "C" __global__ void __launch_bounds__(512) moe_measure_read(const __grid_constant__ moe_measure_arguments p) {
  const uint4 *memory = (const uint4 *)p.memory;
  unsigned sum = 0;
  const long long threads = (long long)gridDim.x * blockDim.x;
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  for (; i + 3 * threads < p.words; i += 4 * threads) {
    uint4 w[4];
#pragma unroll
    for (int j = 0; j < 4; j++) w[j] = __ldcs(memory + i + j * threads);
#pragma unroll
    for (int j = 0; j < 4; j++) sum ^= w[j].x ^ w[j].y ^ w[j].z ^ w[j].w;
  }
  for (; i < p.words; i += threads) sum ^= memory[i].x;
  // The memory is zero, which the compiler doesn't know.
  if (sum != 0) p.output[0] = sum;
}

/// Products of bf16: wgmma where there is that, else mma. Grid: any, 256 threads.
extern "C" __global__ void __launch_bounds__(256) moe_measure_bf16(const __grid_constant__ moe_measure_arguments p) {
  float total = 0;
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  total = measure::products<false>(p.rounds);
#else
  unsigned a[4], b[2];
#pragma unroll
  for (int i = 0; i < 4; i++) a[i] = measure::randomPair(threadIdx.x * 4 + i);
#pragma unroll
  for (int i = 0; i < 2; i++) b[i] = measure::randomPair(4096 + threadIdx.x * 2 + i);
  float sums[8][4] = {};
  for (int round = 0; round < p.rounds; round++)
#pragma unroll
    for (int i = 0; i < 128; i++) multiply(sums[i % 8], a, b);
#pragma unroll
  for (int i = 0; i < 32; i++) total += sums[i / 4][i % 4];
#endif
  if (total == 0x1p100f) p.output[0] = total;
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
/// Products of e4m3 by wgmma. Grid: any, 256 threads.
extern "C" __global__ void __launch_bounds__(256) moe_measure_e4m3(const __grid_constant__ moe_measure_arguments p) {
  const float total = measure::products<true>(p.rounds);
  if (total == 0x1p100f) p.output[0] = total;
}
#endif

/// Fused multiply-adds of 32 bits. Grid: any, 256 threads.
extern "C" __global__ void __launch_bounds__(256) moe_measure_f32(const __grid_constant__ moe_measure_arguments p) {
  const float factor = -1.f + threadIdx.x * 0x1p-10f, term = blockIdx.x * 0x1p-10f;
  float sums[16], total = 0;
#pragma unroll
  for (int i = 0; i < 16; i++) sums[i] = i;
  for (int round = 0; round < p.rounds; round++)
#pragma unroll
    for (int i = 0; i < 64; i++)
#pragma unroll
      for (int j = 0; j < 16; j++) sums[j] = fmaf(sums[j], factor, term);
#pragma unroll
  for (int i = 0; i < 16; i++) total += sums[i];
  if (total == 0x1p100f) p.output[0] = total;
}
