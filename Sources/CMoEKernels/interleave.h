// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_INTERLEAVE_H
#define MOE_INTERLEAVE_H

#include <stdint.h>
#include <string.h>

// Turning a strip of 32 outputs round, in blocks that fit 16-byte vectors.

typedef uint32_t moe_u32x4 __attribute__((ext_vector_type(4)));
typedef uint16_t moe_u16x8 __attribute__((ext_vector_type(8)));

#define LOW(a, b, v) ((v)__builtin_shufflevector((moe_u16x8)(a), (moe_u16x8)(b), 0, 8, 1, 9, 2, 10, 3, 11))
#define HIGH(a, b, v) ((v)__builtin_shufflevector((moe_u16x8)(a), (moe_u16x8)(b), 4, 12, 5, 13, 6, 14, 7, 15))
#define LOW2(a, b) ((moe_u32x4)__builtin_shufflevector((moe_u32x4)(a), (moe_u32x4)(b), 0, 4, 1, 5))
#define HIGH2(a, b) ((moe_u32x4)__builtin_shufflevector((moe_u32x4)(a), (moe_u32x4)(b), 2, 6, 3, 7))
#define LOW4(a, b) ((moe_u32x4)__builtin_shufflevector((a), (b), 0, 1, 4, 5))
#define HIGH4(a, b) ((moe_u32x4)__builtin_shufflevector((a), (b), 2, 3, 6, 7))

/// [32][count] words of 4 bytes, rows `stride` words apart, to [count][32]; count is a multiple of 4.
static inline void moe_transpose_words(const uint32_t *from, int64_t stride, int64_t count, uint32_t *to) {
  for (int64_t k = 0; k < count; k += 4) {
    for (int64_t n = 0; n < 32; n += 4) {
      moe_u32x4 r[4];
      for (int i = 0; i < 4; i++) memcpy(&r[i], from + (n + i) * stride + k, sizeof r[i]);
      moe_u32x4 a = LOW2(r[0], r[1]), b = LOW2(r[2], r[3]), c = HIGH2(r[0], r[1]), d = HIGH2(r[2], r[3]);
      moe_u32x4 out[4] = {LOW4(a, b), HIGH4(a, b), LOW4(c, d), HIGH4(c, d)};
      for (int i = 0; i < 4; i++) memcpy(to + (k + i) * 32 + n, &out[i], sizeof out[i]);
    }
  }
}

/// [32][count] words of 2 bytes, rows `stride` words apart, to [count][32]; count is a multiple of 8.
static inline void moe_transpose_halves(const uint16_t *from, int64_t stride, int64_t count, uint16_t *to) {
  for (int64_t k = 0; k < count; k += 8) {
    for (int64_t n = 0; n < 32; n += 8) {
      moe_u16x8 r[8];
      moe_u32x4 pair[8], quad[8];
      for (int i = 0; i < 8; i++) memcpy(&r[i], from + (n + i) * stride + k, sizeof r[i]);
      for (int i = 0; i < 4; i++) {
        pair[i] = LOW(r[2 * i], r[2 * i + 1], moe_u32x4);       // inputs 0 … 3 of outputs 2i, 2i + 1
        pair[4 + i] = HIGH(r[2 * i], r[2 * i + 1], moe_u32x4);  // inputs 4 … 7
      }
      for (int i = 0; i < 4; i++) {
        int p = i < 2 ? 2 * i : 4 + 2 * (i - 2);  // pairs 0 1, 2 3, 4 5, 6 7
        quad[2 * i] = LOW2(pair[p], pair[p + 1]);
        quad[2 * i + 1] = HIGH2(pair[p], pair[p + 1]);
      }
      // quad: 0 inputs 0 1 and 1 inputs 2 3 of outputs 0 … 3, 2 and 3 of outputs 4 … 7; 4 … 7 the same of inputs 4 … 7
      for (int i = 0; i < 8; i++) {
        int q = i / 4 * 4 + i % 4 / 2;
        moe_u32x4 out = i % 2 ? HIGH4(quad[q], quad[q + 2]) : LOW4(quad[q], quad[q + 2]);
        memcpy(to + (k + i) * 32 + n, &out, sizeof out);
      }
    }
  }
}

/// [count][32] words of 2 bytes to [count / 2][32][2]; count is even.
static inline void moe_pair_halves(const uint16_t *from, int64_t count, uint16_t *to) {
  for (int64_t k = 0; k < count; k += 2) {
    for (int64_t n = 0; n < 32; n += 8) {
      moe_u16x8 even, odd;
      memcpy(&even, from + k * 32 + n, sizeof even);
      memcpy(&odd, from + (k + 1) * 32 + n, sizeof odd);
      moe_u16x8 out[2] = {LOW(even, odd, moe_u16x8), HIGH(even, odd, moe_u16x8)};
      memcpy(to + k * 32 + 2 * n, out, sizeof out);
    }
  }
}

#undef LOW
#undef HIGH
#undef LOW2
#undef HIGH2
#undef LOW4
#undef HIGH4

#endif
