// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNELS moe_kernels_avx512bf16
#define ISA MOE_ISA_AVX512BF16
#define FLOATS_OF moe_kernels_avx512vnni
#define BYTES_OF moe_kernels_avx512vnni
#define PAIR_DOT(sum, w, x) ((vf)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(w), (__m512bh)(x)))
#include "template/avx512vnni.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,"                 \
                                                    "avx512vnni,avx512vbmi,avx512bf16"))),                             \
                             apply_to = function)
#include "template/kernels.h"
#pragma clang attribute pop

#endif
