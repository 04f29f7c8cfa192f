// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if defined(__x86_64__)

#define KERNELS moe_kernels_avx2
#define ISA MOE_ISA_AVX2
#define LANES 8
#define FUSED
#define PERMUTE(v, i) __builtin_ia32_permvarsf256(v, i)
#define EACH_ROWS(F, e) F(e, 1) F(e, 2) F(e, 3) F(e, 4) F(e, 5) F(e, 6)
// A sixth row of fp16 spills: its conversions want one register more.
#define MOST_ROWS {6, 5, 6}
#define TILE_SUMS 8
#define TILE_VECTORS 2

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "template/kernels.h"
#pragma clang attribute pop

#endif
