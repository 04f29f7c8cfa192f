// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNELS moe_kernels_avx512vnni
#define ISA MOE_ISA_AVX512VNNI
#include "template/avx512vnni.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,"                 \
                                                    "avx512vnni,avx512vbmi"))),                                        \
                             apply_to = function)
#include "template/kernels.h"
#pragma clang attribute pop

#endif
