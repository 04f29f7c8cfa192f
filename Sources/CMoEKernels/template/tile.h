// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The product of a few rows of activations and one piece of a panel, or of two panels of codes side by side.

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

INLINE int64_t row_stride(moe_weights weights) {
  return moe_row_stride(weights == MOE_WEIGHTS_BYTES   ? MOE_DOT_I8
                        : weights == MOE_WEIGHTS_PAIRS ? MOE_DOT_BF16
                                                       : MOE_DOT_F32);
}

INLINE int64_t inputs_of_step(moe_weights weights) {
  return weights == MOE_WEIGHTS_BYTES ? 4 : weights == MOE_WEIGHTS_PAIRS ? 2 : 1;
}

// MARK: Segments of codes

/// What a sum over a segment of row m begins with: bytes are codes plus an offset, which the bytes' sum takes away.
INLINE vf segment_start(moe_weights weights, const moe_tile_work *w, int32_t offset, int64_t index, int m) {
  if (weights != MOE_WEIGHTS_BYTES) return splat(0);
  return (vf)(vi)(-offset * w->byte_sums[index + m]);
}

/// total + what the sum over a segment of row m yields.
INLINE vf segment_end(moe_weights weights, const moe_tile_work *w, const moe_numbers *numbers,
                      int64_t segment, int64_t index, int m, int vector, vf sum, vf total) {
  if (weights == MOE_WEIGHTS_BYTES) sum = __builtin_convertvector((vi)sum, vf) * splat(w->scales[index + m]);
  total = multiply_add(sum, load(numbers->scale[segment] + vector * LANES), total);
  if (!w->has_minimums) return total;
  return multiply_add(splat(-w->sums[index + m]), load(numbers->minimum[segment] + vector * LANES), total);
}

// MARK: Pieces that are loaded

/// `rows` rows and `vectors` vectors of outputs from `first` on: rows · vectors sums stay in registers, and where they
/// fit those of the segments too.
INLINE const uint8_t *tile_pass(moe_weights weights, bool segmented, int rows, int first, int vectors,
                                const moe_tile_work *work, const uint8_t *ahead) {
  enum { EVERY = MOE_PANEL / LANES };
  vf total[MOE_TILE_ROWS][EVERY], sum[MOE_TILE_ROWS][EVERY];
  float *c = work->c + first * LANES;
  bool keep = !segmented || 2 * rows * vectors <= TILE_SUMS_AT_MOST;
  if (keep)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < vectors; v++)
        total[m][v] = work->resume ? load(c + m * work->c_stride + v * LANES) : splat(0);

  const int64_t stride = row_stride(weights), together = weights == MOE_WEIGHTS_PAIRS ? 1 : 2;
  int64_t size = weights == MOE_WEIGHTS_F16 || weights == MOE_WEIGHTS_BF16 ? 2 : 4;
  int64_t touched = together * vectors * LANES * size;  // bytes of b in a turn
  int64_t lines = touched < 64 ? 1 : touched / 64;
  int64_t ahead_step = work->ahead_step * touched / (64 * lines);
  int64_t steps = work->inputs / inputs_of_step(weights);
  int64_t segment = segmented ? work->segment / inputs_of_step(weights) : steps;
  int32_t offset = segmented && weights == MOE_WEIGHTS_BYTES ? work->decoder->byte_offset : 0;
  const uint8_t *a = work->a, *b = work->b[0];

  int64_t index = 0, ordinal = 0;
  for (int64_t start = 0; start < steps; start += segment, index += work->pitch, ordinal++) {
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < vectors; v++)
        sum[m][v] = segmented ? segment_start(weights, work, offset, index, m) : total[m][v];
    int64_t end = start + segment < steps ? start + segment : steps;
    for (int64_t j = start; j < end; j += together) {
      UNROLL for (int parity = 0; parity < together; parity++) {
        vu w[EVERY];
        UNROLL for (int v = 0; v < vectors; v++) w[v] = weights_at(weights, b, j + parity, parity, first + v);
        UNROLL for (int m = 0; m < rows; m++) {
          vu x = broadcast(a + m * stride + (j + parity) * 4);
          UNROLL for (int v = 0; v < vectors; v++) sum[m][v] = dot(weights, sum[m][v], w[v], x);
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
        if (!segmented) {
          total[m][v] = sum[m][v];
        } else if (keep) {
          total[m][v] = segment_end(weights, work, work->numbers, ordinal, index, m, first + v, sum[m][v],
                                    total[m][v]);
        } else {
          vf before = work->resume || start > 0 ? load(to) : splat(0);
          store(to, segment_end(weights, work, work->numbers, ordinal, index, m, first + v, sum[m][v], before));
        }
      }
  }

  if (keep)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < vectors; v++) store(c + m * work->c_stride + v * LANES, total[m][v]);
  return ahead;
}

INLINE void tile(moe_weights weights, bool segmented, int rows, const moe_tile_work *work) {
  int vectors = rows * (MOE_PANEL / LANES) <= TILE_SUMS ? MOE_PANEL / LANES : TILE_VECTORS;
  const uint8_t *ahead = work->ahead[0];
  for (int first = 0; first < MOE_PANEL / LANES; first += vectors)
    ahead = tile_pass(weights, segmented, rows, first, vectors, work, ahead);
}

// MARK: Codes that are decoded on the way

/// Bytes that are prefetched ahead of what is read, and where to: to L1 where decoding takes longer than reading, so that
/// it waits for nothing; else to L2, and far enough for what stands between the words.
INLINE int64_t fused_ahead(bool bytes, int stored) { return !bytes ? 4096 : stored == 8 ? 2048 : 8192; }

INLINE void fetch(bool bytes, const uint8_t *p) {
  if (bytes)
    __builtin_prefetch(p, 0, 2);
  else
    __builtin_prefetch(p, 0, 3);
}

/// One step of one panel.
INLINE void fused_step(int stored, moe_decoder_kind kind, moe_weights weights, int rows, decoding d,
                       const uint8_t *words, const uint8_t *a, vf (*sum)[VECTORS]) {
  UNROLL for (int quad = 0; quad < moe_tile_step(stored) / 4; quad++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      bool bytes = weights == MOE_WEIGHTS_BYTES;
      vu codes = step_quad(stored, !bytes && has_pairs(stored, kind), words, quad, v);
      if (bytes) {
        vu w = quad_bytes(stored, kind, d, codes);
        UNROLL for (int m = 0; m < rows; m++)
          sum[m][v] = dot(weights, sum[m][v], w, broadcast(a + m * row_stride(weights) + quad * 4));
      } else {
        vf w[4];
        quad_values(stored, kind, d, codes, w);
        UNROLL for (int i = 0; i < 4; i++)
          UNROLL for (int m = 0; m < rows; m++)
            sum[m][v] = dot(weights, sum[m][v], (vu)w[i], broadcast(a + m * row_stride(weights) + (quad * 4 + i) * 4));
        // As in `tile_pass`: what is not needed yet is not decoded yet.
        __asm__("" : "+r"(words));
      }
    }
}

INLINE void fused(int stored, moe_decoder_kind kind, bool bytes, int panels, int rows, const moe_tile_work *work) {
  const moe_weights weights = bytes ? MOE_WEIGHTS_BYTES : MOE_WEIGHTS_F32;
  const int step = moe_tile_step(stored), step_bytes = MOE_PANEL * step * stored / 8;
  vf total[MOE_FUSED_PANELS][MOE_FUSED_ROWS][VECTORS];
  const decoding d = decoding_of(work->decoder);
  const int32_t offset = bytes ? work->decoder->byte_offset : 0;
  UNROLL for (int p = 0; p < panels; p++)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < VECTORS; v++)
        total[p][m][v] =
            work->resume ? load(work->c + m * work->c_stride + p * MOE_PANEL + v * LANES) : splat(0);
  int64_t index = 0, ordinal = 0;
  for (int64_t start = 0; start < work->inputs; start += work->segment, index += work->pitch, ordinal++) {
    vf sum[MOE_FUSED_PANELS][MOE_FUSED_ROWS][VECTORS];
    const uint8_t *words[MOE_FUSED_PANELS], *ahead[MOE_FUSED_PANELS];
    UNROLL for (int p = 0; p < panels; p++) {
      int64_t skip = work->segments->words[ordinal];
      words[p] = work->b[p] + skip;
      ahead[p] = words[p] + fused_ahead(bytes, stored);
      if (ahead[p] >= work->end[p]) ahead[p] = work->ahead[p] + (ahead[p] - work->end[p]);
      fetch(bytes, ahead[p] - 64);  // what the segment shares
      UNROLL for (int m = 0; m < rows; m++)
        UNROLL for (int v = 0; v < VECTORS; v++)
          sum[p][m][v] = segment_start(weights, work, offset, index, m);
    }
    int64_t end = moe_min(start + work->segment, work->inputs);
    for (int64_t k = start; k < end; k += step) {
      UNROLL for (int p = 0; p < panels; p++) {
        UNROLL for (int line = 0; line < step_bytes; line += 64) fetch(bytes, ahead[p] + line);
        fused_step(stored, kind, weights, rows, d, words[p], work->a + k * (bytes ? 1 : 4), sum[p]);
        words[p] += step_bytes;
        ahead[p] += step_bytes;
      }
    }
    UNROLL for (int p = 0; p < panels; p++)
      UNROLL for (int m = 0; m < rows; m++)
        UNROLL for (int v = 0; v < VECTORS; v++)
          total[p][m][v] = segment_end(weights, work, &work->numbers[p], ordinal, index, m, v, sum[p][m][v],
                                       total[p][m][v]);
  }
  UNROLL for (int p = 0; p < panels; p++)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < VECTORS; v++)
        store(work->c + m * work->c_stride + p * MOE_PANEL + v * LANES, total[p][m][v]);
}
