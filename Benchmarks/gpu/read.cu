// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Reads memory as fast as it can be read: the ceiling of everything that is bound by weights.

struct alignas(16) Four {
  unsigned w[4];
};

extern "C" __global__ void __launch_bounds__(512) read_all(const Four* data, long long count, unsigned* sink) {
  constexpr int together = 8;
  unsigned folded = 0;
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i + (together - 1) * stride < count; i += together * stride) {
    Four v[together];
#pragma unroll
    for (int j = 0; j < together; ++j)
      asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(v[j].w[0]), "=r"(v[j].w[1]), "=r"(v[j].w[2]), "=r"(v[j].w[3]) : "l"(data + i + j * stride));
#pragma unroll
    for (int j = 0; j < together; ++j) folded ^= v[j].w[0] ^ v[j].w[1] ^ v[j].w[2] ^ v[j].w[3];
  }
  if (folded == 0x12345678) *sink = folded;
}
