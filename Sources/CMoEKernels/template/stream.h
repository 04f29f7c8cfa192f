// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The product of a few rows of activations and whole panels, read once from front to back. Weights are widened or decoded
// in registers, numbers of groups where they stand, and sums stay in registers from the first input to the last.

// MARK: Numbers of groups

/// Of the panels side by side.
typedef vf panel_numbers[MOE_STREAM_PANELS][VECTORS];

INLINE void take_as(moe_number number, int panels, const uint8_t *const *b, int64_t at, panel_numbers out) {
  UNROLL for (int p = 0; p < panels; p++)
    UNROLL for (int v = 0; v < VECTORS; v++)
      out[p][v] = number_vector(number, b[p] + at + v * LANES * moe_number_bytes(number));
}

/// Numbers at offset `at` of each panel; returns where they end.
INLINE int64_t take(moe_number number, int panels, const uint8_t *const *b, int64_t at, panel_numbers out) {
  switch (number) {
#define CASE(number)                                                                                                   \
  case number: take_as(number, panels, b, at, out); break;
    EACH_NUMBER(CASE)
#undef CASE
  }
  return at + MOE_PANEL * moe_number_bytes(number);
}

INLINE void multiply_by(int panels, panel_numbers out, panel_numbers factor) {
  UNROLL for (int p = 0; p < panels; p++)
    UNROLL for (int v = 0; v < VECTORS; v++) out[p][v] *= factor[p][v];
}

/// What the segments of panels share, as a walk over their inputs finds it.
typedef struct stream_numbers {
  panel_numbers scale, minimum, factor, minimum_factor;
  int64_t next_group, next_super;
} stream_numbers;

/// At the first input of a group, `at` bytes behind the start of the panels: returns where its words begin.
INLINE int64_t take_stream_numbers(const moe_form *form, int panels, const uint8_t *const *b, int64_t k, int64_t at,
                                   stream_numbers *s) {
  if (form->super_group && k == s->next_super) {
    s->next_super += form->super_group;
    at = take(form->factor, panels, b, at, s->factor);
    if (form->correction == MOE_CORRECTION_MINIMUM) at = take(form->factor, panels, b, at, s->minimum_factor);
  }
  s->next_group += moe_group(form);
  at = take(form->scale, panels, b, at, s->scale);
  if (form->super_group) multiply_by(panels, s->scale, s->factor);
  if (form->correction == MOE_CORRECTION_NONE) return at;
  at = take(form->correction_number, panels, b, at, s->minimum);
  if (form->correction == MOE_CORRECTION_ZERO)
    multiply_by(panels, s->minimum, s->scale);
  else if (form->super_group)
    multiply_by(panels, s->minimum, s->minimum_factor);
  return at;
}

// MARK: Memory

/// Bytes that are prefetched ahead. Beyond what is found here processors prefetch on their own.
INLINE int64_t stream_ahead(moe_weights weights) { return weights == MOE_WEIGHTS_BYTES ? 512 : 2048; }

/// Where to prefetch from while panels are read at `at`: so far ahead in them, then in those that follow.
INLINE void look_ahead(moe_weights weights, const moe_stream_work *w, int panels, int64_t at, const uint8_t **ahead) {
  at += stream_ahead(weights);
  UNROLL for (int p = 0; p < panels; p++) ahead[p] = at < w->bytes ? w->b[p] + at : w->then[p] + (at - w->bytes);
}

/// To L1 where a line takes long, so that nothing waits; bytes are done as fast as L2 yields them.
INLINE void fetch(moe_weights weights, const uint8_t **ahead, int p, int bytes) {
  UNROLL for (int line = 0; line < bytes; line += 64)
    if (weights == MOE_WEIGHTS_BYTES)
      __builtin_prefetch(ahead[p] + line, 0, 2);
    else
      __builtin_prefetch(ahead[p] + line, 0, 3);
  ahead[p] += bytes;
}

// MARK: Tiles

typedef vf stream_sums[MOE_STREAM_PANELS][MOE_STREAM_ROWS][VECTORS];

INLINE void store_sums(const moe_stream_work *w, int panels, int rows, stream_sums sum) {
  UNROLL for (int p = 0; p < panels; p++)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < VECTORS; v++) store(w->c[p] + m * w->c_stride + v * LANES, sum[p][m][v]);
}

/// Two inputs of one panel of weights of an element type.
INLINE void dense_step(moe_weights weights, int rows, const uint8_t *words, const uint8_t *a, vf (*sum)[VECTORS]) {
  const int dots = 2 / (int)inputs_of_step(weights);
  UNROLL for (int i = 0; i < dots; i++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      vu x = weights_at(weights, words, i, i, v);
      UNROLL for (int m = 0; m < rows; m++)
        sum[m][v] = dot(weights, sum[m][v], x, broadcast(a + m * row_stride(weights) + i * 4));
    }
}

INLINE void stream_dense(moe_weights weights, int panels, int rows, const moe_stream_work *w) {
  const int step_bytes = 2 * MOE_PANEL * (weights == MOE_WEIGHTS_F32 ? 4 : 2);
  stream_sums sum;
  UNROLL for (int p = 0; p < panels; p++)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < VECTORS; v++) sum[p][m][v] = splat(0);
  const uint8_t *a = w->a, *words[MOE_STREAM_PANELS], *ahead[MOE_STREAM_PANELS];
  UNROLL for (int p = 0; p < panels; p++) words[p] = w->b[p];
  for (int64_t block = 0; block < w->inputs; block += MOE_BLOCK, a += w->block_bytes) {
    int64_t count = moe_min(MOE_BLOCK, w->inputs - block);
    look_ahead(weights, w, panels, words[0] - w->b[0], ahead);
    for (int64_t k = 0; k < count; k += 2)
      UNROLL for (int p = 0; p < panels; p++) {
        fetch(weights, ahead, p, step_bytes);
        dense_step(weights, rows, words[p], a + k * (4 / inputs_of_step(weights)), sum[p]);
        words[p] += step_bytes;
      }
  }
  store_sums(w, panels, rows, sum);
}

/// One step of one panel of codes.
INLINE void coded_step(int stored, moe_decoder_kind kind, moe_weights weights, int rows, decoding d,
                       const uint8_t *words, const uint8_t *a, vf (*sum)[VECTORS]) {
  const int dots = 4 / (int)inputs_of_step(weights);  // of four inputs
  UNROLL for (int quad = 0; quad < moe_tile_step(stored) / 4; quad++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      vu codes = step_quad(stored, weights != MOE_WEIGHTS_BYTES && has_pairs(stored, kind), words, quad, v);
      vu w[4];
      if (weights == MOE_WEIGHTS_BYTES)
        w[0] = quad_bytes(stored, kind, d, codes);
      else if (weights == MOE_WEIGHTS_PAIRS)
        quad_pairs(stored, d, codes, true, w);
      else
        quad_values(stored, kind, d, codes, (vf *)w);
      UNROLL for (int i = 0; i < dots; i++)
        UNROLL for (int m = 0; m < rows; m++)
          sum[m][v] = dot(weights, sum[m][v], w[i], broadcast(a + m * row_stride(weights) + (quad * dots + i) * 4));
      // As in `tile_pass`: what is not needed yet is not decoded yet.
      if (weights == MOE_WEIGHTS_F32) __asm__("" : "+r"(words));
    }
}

INLINE void stream_coded(int stored, moe_decoder_kind kind, moe_weights weights, int panels, int rows,
                         const moe_stream_work *w) {
  const int step = moe_tile_step(stored), step_bytes = MOE_PANEL * step * stored / 8;
  const decoding d = decoding_of(w->decoder);
  const bool bytes = weights == MOE_WEIGHTS_BYTES;
  const int32_t offset = bytes ? w->decoder->byte_offset : 0;
  const float unit = bytes ? w->decoder->unit : 1;
  const moe_form *form = w->form;
  stream_sums total;
  UNROLL for (int p = 0; p < panels; p++)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < VECTORS; v++) total[p][m][v] = splat(0);
  stream_numbers numbers;
  numbers.next_group = numbers.next_super = 0;
  const uint8_t *a = w->a;
  int64_t at = 0, index = 0;
  for (int64_t block = 0; block < w->inputs; block += MOE_BLOCK, a += w->block_bytes) {
    int64_t block_end = moe_min(MOE_BLOCK, w->inputs - block);
    for (int64_t start = 0; start < block_end; start += w->segment, index += w->rows.pitch) {
      const uint8_t *ahead[MOE_STREAM_PANELS];
      look_ahead(weights, w, panels, at, ahead);
      if (block + start == numbers.next_group) {
        int64_t words = take_stream_numbers(form, panels, w->b, block + start, at, &numbers);
        UNROLL for (int p = 0; p < panels; p++) fetch(weights, ahead, p, 64);
        at = words;
      }
      stream_sums sum;
      UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int m = 0; m < rows; m++)
          UNROLL for (int v = 0; v < VECTORS; v++)
            sum[p][m][v] = segment_start(weights, &w->rows, offset, index, m);
      int64_t end = moe_min(start + w->segment, block_end);
      for (int64_t k = start; k < end; k += step, at += step_bytes)
        UNROLL for (int p = 0; p < panels; p++) {
          fetch(weights, ahead, p, step_bytes);
          coded_step(stored, kind, weights, rows, d, w->b[p] + at, a + k * (4 / inputs_of_step(weights)), sum[p]);
        }
      UNROLL for (int m = 0; m < rows; m++) {
        vf scale = splat(bytes ? w->rows.scales[index + m] * unit : 1);
        UNROLL for (int p = 0; p < panels; p++)
          UNROLL for (int v = 0; v < VECTORS; v++) {
            vf s = bytes ? __builtin_convertvector((vi)sum[p][m][v], vf) * scale : sum[p][m][v];
            total[p][m][v] = multiply_add(s, numbers.scale[p][v], total[p][m][v]);
          }
        if (form->correction == MOE_CORRECTION_NONE) continue;
        vf minus = splat(-w->rows.sums[index + m]);
        UNROLL for (int p = 0; p < panels; p++)
          UNROLL for (int v = 0; v < VECTORS; v++)
            total[p][m][v] = multiply_add(minus, numbers.minimum[p][v], total[p][m][v]);
      }
    }
  }
  store_sums(w, panels, rows, total);
}

/// `stored` bits of codes, or 0 and the element type as `kind`.
INLINE void stream(int stored, int kind, moe_weights weights, int rows, const moe_stream_work *w) {
  const int panels = STREAM_PANELS(weights, rows);
  if (stored == 0)
    stream_dense(weights == MOE_WEIGHTS_PAIRS ? weights : (moe_weights)kind, panels, rows, w);
  else
    stream_coded(stored, (moe_decoder_kind)kind, weights, panels, rows, w);
}
