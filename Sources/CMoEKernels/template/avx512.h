// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What 64-byte vectors can.

#define LANES 16
#define FUSED
#define PERMUTE(v, i) __builtin_ia32_permvarsf512(v, i)
#define HALF_DOT(w, x) ((vi)_mm512_madd_epi16((__m512i)(w), (__m512i)(x)))
#define GREATER_MAGNITUDE(a, b) ((vf)_mm512_range_ps((__m512)(a), (__m512)(b), 0xb))
#define SHUFFLE_BYTES(table, i)                                                                                        \
  ((vu)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(table))), (__m512i)(i)))
#define PERMUTE_HALVES(all, table, i)                                                                                  \
  ((vu)(all ? _mm512_permutex2var_epi16(_mm512_loadu_si512(table), (__m512i)(i), _mm512_loadu_si512((table) + 32))     \
            : _mm512_permutexvar_epi16((__m512i)(i), _mm512_loadu_si512(table))))
#define INTERLEAVE_LOW(a, b) ((vu)_mm512_unpacklo_epi8((__m512i)(a), (__m512i)(b)))
#define INTERLEAVE_HIGH(a, b) ((vu)_mm512_unpackhi_epi8((__m512i)(a), (__m512i)(b)))
/// Of each lane the first two bytes, each twice; the last two.
#define FIRST_TWICE(x)                                                                                                 \
  ((vu)_mm512_shuffle_epi8((__m512i)(x), _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 1, 1, 4, 4, 5, 5, 8, 8, 9, 9, 12,  \
                                                                              12, 13, 13))))
#define LAST_TWICE(x)                                                                                                  \
  ((vu)_mm512_shuffle_epi8((__m512i)(x), _mm512_broadcast_i32x4(_mm_setr_epi8(2, 2, 3, 3, 6, 6, 7, 7, 10, 10, 11, 11,  \
                                                                              14, 14, 15, 15))))
/// Of each four lanes the first two bytes, then the others.
#define PAIRS_FIRST(x)                                                                                                 \
  ((vu)_mm512_shuffle_epi8((__m512i)(x), _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7,    \
                                                                              10, 11, 14, 15))))
#define EACH_ROWS(F, e)                                                                                                \
  F(e, 1) F(e, 2) F(e, 3) F(e, 4) F(e, 5) F(e, 6) F(e, 7) F(e, 8) F(e, 9) F(e, 10) F(e, 11) F(e, 12)
#define EACH_SPLIT_ROWS(F, e) F(e, 1) F(e, 2) F(e, 3) F(e, 4) F(e, 5) F(e, 6)
#define MOST_ROWS {12, 12, 12, 12, 6, 12}
#define TILE_SUMS 24
#define TILE_SUMS_AT_MOST 24
#define TILE_VECTORS 2
#define EACH_STREAM_ROWS(F, s, k, w)                                                                                   \
  F(s, k, w, 1) F(s, k, w, 2) F(s, k, w, 3) F(s, k, w, 4) F(s, k, w, 5) F(s, k, w, 6) F(s, k, w, 7) F(s, k, w, 8)
#define STREAM_ROWS 8
#define EACH_SPLIT_STREAM_ROWS(F, s, k, w) F(s, k, w, 1) F(s, k, w, 2) F(s, k, w, 3) F(s, k, w, 4)
#define SPLIT_STREAM_ROWS 4
