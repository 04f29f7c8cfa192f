// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The product of a few rows of activations and one piece of a panel.

/// Step `j` of a piece (`parity` is j mod 2), outputs `vector` · LANES ..< + LANES. Widens in registers: that costs less
/// than the memory of a widened copy.
INLINE vu weights_at(moe_weights weights, const uint8_t *piece, int64_t j, int parity, int vector) {
  switch (weights) {
  case MOE_WEIGHTS_F16: return (vu)widen_f16(piece + j * 64 + vector * LANES * 2);
  case MOE_WEIGHTS_BF16: {
    vu pair = load_bits(piece + (j - parity) * 64 + vector * LANES * 4);
    return parity ? pair & 0xffff0000 : pair << 16;
  }
  default: return load_bits(piece + j * 128 + vector * LANES * 4);
  }
}

/// Four bytes of a row, in every lane.
INLINE vu broadcast(const uint8_t *p) {
  uint32_t bits;
  memcpy(&bits, p, sizeof bits);
  return (vu)(bits);
}

INLINE moe_dot dot_of(moe_weights weights) {
  return weights == MOE_WEIGHTS_BYTES   ? MOE_DOT_I8
         : weights == MOE_WEIGHTS_PAIRS ? MOE_DOT_BF16
         : weights == MOE_WEIGHTS_SPLIT ? MOE_DOT_SPLIT
                                        : MOE_DOT_F32;
}

INLINE int64_t row_stride(moe_weights weights) { return moe_row_stride(dot_of(weights)); }

INLINE bool are_pairs(moe_weights weights) { return weights == MOE_WEIGHTS_PAIRS || weights == MOE_WEIGHTS_SPLIT; }

INLINE int64_t inputs_of_step(moe_weights weights) {
  return weights == MOE_WEIGHTS_BYTES ? 4 : are_pairs(weights) ? 2 : 1;
}

/// Registers of a sum.
INLINE int sums_of(moe_weights weights) { return weights == MOE_WEIGHTS_SPLIT ? 2 : 1; }

/// The step of a row that lies at p.
INLINE row_step step_of(moe_weights weights, const uint8_t *p) {
  vu x = broadcast(p);
  return (row_step){x, weights == MOE_WEIGHTS_SPLIT ? broadcast(p + MOE_SPLIT_BYTES) : x};
}

// MARK: Segments of codes

/// What a sum over a segment of row m begins with: bytes are codes plus an offset, which the bytes' sum takes away.
INLINE vf segment_start(moe_weights weights, const moe_row_numbers *rows, int32_t offset, int64_t index, int m) {
  if (weights != MOE_WEIGHTS_BYTES) return splat(0);
  return (vf)(vi)(-offset * rows->byte_sums[index + m]);
}

/// total + what the sum over a segment of row m yields.
INLINE vf segment_end(moe_weights weights, const moe_tile_work *w, const moe_numbers *numbers,
                      int64_t segment, int64_t index, int m, int vector, vf sum, vf total) {
  if (weights == MOE_WEIGHTS_BYTES) {
    const vf scale = splat(w->rows.scales[index + m]), whole = __builtin_convertvector((vi)sum, vf);
    if (w->one_scale) return multiply_add(whole, scale, total);
    sum = whole * scale;
  }
  total = multiply_add(sum, load(numbers->scale[segment] + vector * LANES), total);
  if (!w->has_minimums) return total;
  return multiply_add(splat(-w->rows.sums[index + m]), load(numbers->minimum[segment] + vector * LANES), total);
}

static void multiply_by_scales(const float *scales, int64_t rows, float *c, int64_t c_stride) {
  for (int64_t m = 0; m < rows; m++, c += c_stride)
    UNROLL for (int v = 0; v < MOE_PANEL; v += LANES) store(c + v, load(c + v) * load(scales + v));
}

// MARK: Pieces that are loaded

/// `rows` rows and `vectors` vectors of outputs from `first` on: rows · vectors sums stay in registers, and where they
/// fit those of the segments too.
INLINE const uint8_t *tile_pass(moe_weights weights, bool segmented, int rows, int first, int vectors,
                                const moe_tile_work *work, const uint8_t *ahead) {
  enum { EVERY = MOE_PANEL / LANES };
  vf total[MOE_TILE_ROWS][EVERY];
  row_sum sum[MOE_TILE_ROWS][EVERY];
  float *c = work->c + first * LANES;
  bool keep = !segmented || (sums_of(weights) + 1) * rows * vectors <= TILE_SUMS_AT_MOST;
  if (keep)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < vectors; v++)
        total[m][v] = work->resume ? load(c + m * work->c_stride + v * LANES) : splat(0);

  const int64_t stride = row_stride(weights), together = are_pairs(weights) ? 1 : 2;
  int64_t size = weights == MOE_WEIGHTS_F16 || weights == MOE_WEIGHTS_BF16 ? 2 : 4;
  int64_t touched = together * vectors * LANES * size;  // bytes of b in a turn
  int64_t lines = touched < 64 ? 1 : touched / 64;
  int64_t ahead_step = work->ahead_step * touched / (64 * lines);
  int64_t steps = work->inputs / inputs_of_step(weights);
  int64_t segment = segmented ? work->segment / inputs_of_step(weights) : steps;
  int32_t offset = segmented && weights == MOE_WEIGHTS_BYTES ? work->decoder->byte_offset : 0;
  const uint8_t *a = work->a, *b = work->b;

  int64_t index = 0, ordinal = 0;
  for (int64_t start = 0; start < steps; start += segment, index += work->rows.pitch, ordinal++) {
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < vectors; v++)
        sum[m][v] = sum_from(segmented ? segment_start(weights, &work->rows, offset, index, m) : total[m][v]);
    int64_t end = start + segment < steps ? start + segment : steps;
    for (int64_t j = start; j < end; j += together) {
      UNROLL for (int parity = 0; parity < together; parity++) {
        vu w[EVERY];
        UNROLL for (int v = 0; v < vectors; v++) w[v] = weights_at(weights, b, j + parity, parity, first + v);
        UNROLL for (int m = 0; m < rows; m++) {
          const uint8_t *at = a + m * stride + moe_dot_offset(dot_of(weights), (j + parity) * inputs_of_step(weights));
          row_step x = step_of(weights, at);
          UNROLL for (int v = 0; v < vectors; v++) dot(weights, &sum[m][v], w[v], x);
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
      UNROLL for (int v = 0; v < vectors; v++) {
        float *to = c + m * work->c_stride + v * LANES;
        vf whole = whole_sum(weights, sum[m][v]);
        if (!segmented) {
          total[m][v] = whole;
        } else if (keep) {
          total[m][v] = segment_end(weights, work, work->numbers, ordinal, index, m, first + v, whole, total[m][v]);
        } else {
          vf before = work->resume || start > 0 ? load(to) : splat(0);
          store(to, segment_end(weights, work, work->numbers, ordinal, index, m, first + v, whole, before));
        }
      }
  }

  if (keep)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < vectors; v++) store(c + m * work->c_stride + v * LANES, total[m][v]);
  return ahead;
}

INLINE void tile(moe_weights weights, bool segmented, int rows, const moe_tile_work *work) {
  int vectors = sums_of(weights) * rows * (MOE_PANEL / LANES) <= TILE_SUMS ? MOE_PANEL / LANES : TILE_VECTORS;
  const uint8_t *ahead = work->ahead;
  for (int first = 0; first < MOE_PANEL / LANES; first += vectors)
    ahead = tile_pass(weights, segmented, rows, first, vectors, work, ahead);
}
