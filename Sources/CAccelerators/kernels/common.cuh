// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Words, lanes and the 16-bit numbers that every kernel uses. No header of the CUDA toolkit is needed.
#pragma once

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

/// Four 32-bit words: the widest load and store.
struct alignas(16) Words {
  u32 w[4];
};

__device__ __forceinline__ constexpr int ceilDivide(int a, int b) { return (a + b - 1) / b; }
/// a / b of numbers from 0 to 2²² without the long way of integers.
__device__ __forceinline__ int divide(int a, int b) {
  const int quotient = (int)__fdividef((float)a, (float)b), rest = a - quotient * b;
  return quotient + (rest >= b ? 1 : rest < 0 ? -1 : 0);
}
__device__ __forceinline__ int smaller(int a, int b) { return a < b ? a : b; }
/// Whether an id names one of `experts`; a router may give others, −1 for one, to slots that are skipped.
__device__ __forceinline__ bool isExpert(int id, int experts) { return (u32)id < (u32)experts; }
__device__ __forceinline__ u32 lane() { return threadIdx.x & 31; }

/// The first lane's value, of which the compiler then knows that all lanes have it.
__device__ __forceinline__ u32 uniform(u32 x) { return __shfl_sync(~0u, x, 0); }
/// Computed here, and not once more where it is used.
__device__ __forceinline__ u32 kept(u32 x) {
  asm volatile("" : "+r"(x));
  return x;
}

/// The address of shared memory as the instructions want it.
__device__ __forceinline__ u32 sharedAddress(const void* pointer) { return (u32)__cvta_generic_to_shared(pointer); }

__device__ __forceinline__ Words loadShared(u32 address) {
  Words v;
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3]) : "r"(address));
  return v;
}

__device__ __forceinline__ u32 loadSharedWord(u32 address) {
  u32 v;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(v) : "r"(address));
  return v;
}
__device__ __forceinline__ float loadSharedFloat(u32 address) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(address));
  return v;
}

__device__ __forceinline__ void storeShared(u32 address, u64 value) {
  asm volatile("st.shared.b64 [%0], %1;" ::"r"(address), "l"(value) : "memory");
}
__device__ __forceinline__ void storeShared(u32 address, const Words& value) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(value.w[0]), "r"(value.w[1]), "r"(value.w[2]),
               "r"(value.w[3]) : "memory");
}
__device__ __forceinline__ void storeShared(u32 address, float value) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(value) : "memory");
}

/// Two floats as bf16, rounded to nearest, ties to even: `low` in the low half.
__device__ __forceinline__ u32 packBF16(float low, float high) {
  u32 packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}
__device__ __forceinline__ u16 roundBF16(float x) { return (u16)packBF16(x, 0.f); }
__device__ __forceinline__ float lowBF16(u32 packed) { return __uint_as_float(packed << 16); }
__device__ __forceinline__ float highBF16(u32 packed) { return __uint_as_float(packed & 0xffff0000u); }

/// The greater of each 16-bit half.
__device__ __forceinline__ u32 greaterHalves(u32 a, u32 b) {
  u32 d;
  asm("max.u16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
  return d;
}
