// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if defined(__x86_64__)

#define KERNELS moe_kernels_avx512
#define ISA MOE_ISA_AVX512
#define LANES 16
#define FUSED
#define PERMUTE(v, i) __builtin_ia32_permvarsf512(v, i)
#define EACH_ROWS(F, e)                                                                                                \
  F(e, 1) F(e, 2) F(e, 3) F(e, 4) F(e, 5) F(e, 6) F(e, 7) F(e, 8) F(e, 9) F(e, 10) F(e, 11) F(e, 12)
#define MOST_ROWS {12, 12, 12}
#define TILE_SUMS 24
#define TILE_VECTORS 2

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))),              \
                             apply_to = function)
#include "template/kernels.h"
#pragma clang attribute pop

#endif
