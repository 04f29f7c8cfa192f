// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What 64-byte vectors can with VNNI and VBMI.

#include "avx512.h"

#define BYTE_DOT(sum, w, x) ((vi)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(w), (__m512i)(x)))
#define PERMUTE_BYTES(table, i)                                                                                        \
  ((vu)_mm512_permutex2var_epi8(_mm512_loadu_si512(table), (__m512i)(i), _mm512_loadu_si512((table) + 64)))
