// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The product of a few rows of activations and one piece of a panel. The form of the weights shows in `weights` alone,
// which widens in registers: that costs less than the memory of a widened copy.

/// Input `k` (`parity` is k mod 2), outputs `vector` · LANES ..< + LANES.
INLINE vf weights(moe_element element, const uint8_t *piece, int64_t k, int parity, int vector) {
  switch (element) {
  case MOE_ELEMENT_F32: return load(piece + k * 128 + vector * LANES * 4);
  case MOE_ELEMENT_F16: return widen_f16(piece + k * 64 + vector * LANES * 2);
  case MOE_ELEMENT_BF16: {
    vu pair = load_bits(piece + (k - parity) * 64 + vector * LANES * 4);
    return from_bits(parity ? pair & 0xffff0000 : pair << 16);
  }
  }
}

/// `rows` rows and `vectors` vectors of outputs from `first` on: rows · vectors sums stay in registers.
INLINE const uint8_t *tile_pass(moe_element element, int rows, int first, int vectors, const float *a, const uint8_t *b,
                                int64_t inputs, float *c, int64_t c_stride, bool resume, const uint8_t *ahead,
                                int64_t ahead_step) {
  vf sum[MOE_TILE_ROWS][MOE_PANEL / LANES];
  UNROLL for (int m = 0; m < rows; m++)
    UNROLL for (int v = 0; v < vectors; v++)
      sum[m][v] = resume ? load(c + m * c_stride + (first + v) * LANES) : splat(0);

  int64_t touched = 2 * vectors * LANES * (element == MOE_ELEMENT_F32 ? 4 : 2);  // bytes of b in a step
  int64_t lines = touched < 64 ? 1 : touched / 64;
  ahead_step = ahead_step * touched / (64 * lines);

  for (int64_t k = 0; k < inputs; k += 2) {
    UNROLL for (int parity = 0; parity < 2; parity++) {
      vf w[MOE_PANEL / LANES];
      UNROLL for (int v = 0; v < vectors; v++) w[v] = weights(element, b, k + parity, parity, first + v);
      UNROLL for (int m = 0; m < rows; m++) {
        vf x = splat(a[m * MOE_BLOCK_STRIDE + k + parity]);
        UNROLL for (int v = 0; v < vectors; v++) sum[m][v] = multiply_add(x, w[v], sum[m][v]);
      }
      // A new `b` as far as the compiler knows; else it widens the odd input's weights before the even input is done,
      // and sums fall out of registers.
      __asm__("" : "+r"(b));
    }
    UNROLL for (int64_t line = 0; line < lines; line++) {
      __builtin_prefetch(ahead);
      ahead += ahead_step;
    }
  }

  UNROLL for (int m = 0; m < rows; m++)
    UNROLL for (int v = 0; v < vectors; v++) store(c + m * c_stride + (first + v) * LANES, sum[m][v]);
  return ahead;
}

INLINE void tile(moe_element element, int rows, const float *a, const uint8_t *b, int64_t inputs, float *c,
                 int64_t c_stride, bool resume, const uint8_t *ahead, int64_t ahead_step) {
  int vectors = rows * (MOE_PANEL / LANES) <= TILE_SUMS ? MOE_PANEL / LANES : TILE_VECTORS;
  for (int first = 0; first < MOE_PANEL / LANES; first += vectors)
    ahead = tile_pass(element, rows, first, vectors, a, b, inputs, c, c_stride, resume, ahead, ahead_step);
}
