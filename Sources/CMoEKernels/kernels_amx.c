// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNELS moe_kernels_amx
#define ISA MOE_ISA_AMX
#define FLOATS_OF moe_kernels_avx512vnni
#define BYTES_OF moe_kernels_avx512vnni
#define TILE_CONFIGURE(shapes) _tile_loadconfig(shapes)
#define TILE_RELEASE() _tile_release()
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, p, stride) _tile_loadd(t, p, (size_t)(stride))
#define TILE_STORE(t, p, stride) _tile_stored(t, p, (size_t)(stride))
#define TILE_DOT_PAIRS(t, a, b) _tile_dpbf16ps(t, a, b)
#define TILE_DOT_BYTES(t, a, b) _tile_dpbsud(t, a, b)
#include "template/avx512vnni.h"

#pragma clang attribute push(                                                                                          \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,avx512vnni,avx512vbmi,amx-tile,amx-int8,amx-bf16"))), \
    apply_to = function)
#include "template/kernels.h"
#pragma clang attribute pop

#endif
