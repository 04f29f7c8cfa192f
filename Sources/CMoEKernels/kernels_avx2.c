// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNELS moe_kernels_avx2
#define ISA MOE_ISA_AVX2
#include "template/avx2.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "template/kernels.h"
#pragma clang attribute pop

#endif
