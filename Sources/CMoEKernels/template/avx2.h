// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What 32-byte vectors can.

#define LANES 8
#define FUSED
#define PERMUTE(v, i) __builtin_ia32_permvarsf256(v, i)
#define HALF_DOT(w, x) ((vi)_mm256_madd_epi16((__m256i)(w), (__m256i)(x)))
#define SHUFFLE_BYTES(table, i)                                                                                        \
  ((vu)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table))), (__m256i)(i)))
#define EACH_ROWS(F, e) F(e, 1) F(e, 2) F(e, 3) F(e, 4) F(e, 5) F(e, 6)
// A sixth row of fp16 spills: its conversions want one register more.
#define MOST_ROWS {6, 5, 6, 0, 0, 6}
#define TILE_SUMS 8
#define TILE_SUMS_AT_MOST 12
#define TILE_VECTORS 2
#define EACH_STREAM_ROWS(F, s, k, w) F(s, k, w, 1) F(s, k, w, 2)
#define STREAM_ROWS 2
