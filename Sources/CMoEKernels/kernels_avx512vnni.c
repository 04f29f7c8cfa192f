// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNELS moe_kernels_avx512vnni
#define ISA MOE_ISA_AVX512VNNI
#define BYTE_DOT(sum, w, x) ((vi)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(w), (__m512i)(x)))
#define PERMUTE_BYTES(table, i)                                                                                        \
  ((vu)_mm512_permutex2var_epi8(_mm512_loadu_si512(table), (__m512i)(i), _mm512_loadu_si512((table) + 64)))
#include "template/avx512.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,avx512vnni,avx512vbmi"))),            \
                             apply_to = function)
#include "template/kernels.h"
#pragma clang attribute pop

#endif
