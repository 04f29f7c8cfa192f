// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The product of a few rows of activations and a whole panel, read once from front to back. Weights are widened or decoded
// in registers, numbers of groups where they stand, and sums stay in registers from the first input to the last.

// MARK: Numbers of groups

typedef vf panel_numbers[VECTORS];

INLINE void take_as(moe_number number, const uint8_t *b, panel_numbers out) {
  UNROLL for (int v = 0; v < VECTORS; v++) out[v] = number_vector(number, b + v * LANES * moe_number_bytes(number));
}

/// Numbers at `b`; returns where they end.
INLINE const uint8_t *take(moe_number number, const uint8_t *b, panel_numbers out) {
  switch (number) {
#define CASE(number)                                                                                                   \
  case number: take_as(number, b, out); break;
    EACH_NUMBER(CASE)
#undef CASE
  }
  return b + MOE_PANEL * moe_number_bytes(number);
}

INLINE void multiply_by(panel_numbers out, panel_numbers factor) {
  UNROLL for (int v = 0; v < VECTORS; v++) out[v] *= factor[v];
}

/// What the segments of a panel share, as a walk over its inputs finds it.
typedef struct stream_numbers {
  panel_numbers scale, minimum, factor, minimum_factor;
  int64_t next_group, next_super;
} stream_numbers;

/// At the first input of a group: returns where its words begin.
INLINE const uint8_t *take_stream_numbers(const moe_form *form, const uint8_t *b, int64_t k, stream_numbers *s) {
  if (form->super_group && k == s->next_super) {
    s->next_super += form->super_group;
    b = take(form->factor, b, s->factor);
    if (form->correction == MOE_CORRECTION_MINIMUM) b = take(form->factor, b, s->minimum_factor);
  }
  s->next_group += moe_group(form);
  b = take(form->scale, b, s->scale);
  if (form->super_group) multiply_by(s->scale, s->factor);
  if (form->correction == MOE_CORRECTION_NONE) return b;
  b = take(form->correction_number, b, s->minimum);
  if (form->correction == MOE_CORRECTION_ZERO)
    multiply_by(s->minimum, s->scale);
  else if (form->super_group)
    multiply_by(s->minimum, s->minimum_factor);
  return b;
}

// MARK: Memory

/// Bytes that a pass alone prefetches ahead of itself. Where it decodes, the processor looks less far ahead on its own, and what
/// is read once need not stay in the caches.
enum { ALONE_AHEAD = 4096, DECODING_AHEAD = 6144 };

/// What a pass prefetches: `step` bytes for every 64 of the panel, from the byte `first` after the panel's start on. One
/// pass looks ahead in its own panel, and several share the panel that follows, so that none of them waits for memory.
typedef struct look_ahead {
  int64_t first, step;
  /// Into the nearest cache only, as nobody reads it again.
  bool once;
} look_ahead;

INLINE look_ahead look_ahead_of(int stored, moe_weights weights, const moe_stream_work *w) {
  bool decodes = stored != 0 && !(stored == 8 && weights == MOE_WEIGHTS_BYTES);
  if (w->passes == 1) return (look_ahead){decodes ? DECODING_AHEAD : ALONE_AHEAD, 64, decodes};
  int64_t step = 64 / w->passes;
  return (look_ahead){w->bytes + w->pass * (w->bytes / 64 * step), step, false};
}

/// Where to prefetch from while the panel is read at `b`.
INLINE const uint8_t *ahead_at(look_ahead look, const moe_stream_work *w, const uint8_t *b) {
  int64_t at = look.first + (b - w->b) / 64 * look.step;
  return at < w->bytes ? w->b + at : w->then + (at - w->bytes);
}

/// Prefetches what belongs to `bytes` bytes of the panel.
INLINE const uint8_t *fetch(look_ahead look, const uint8_t *ahead, int bytes) {
  if (look.once)
    UNROLL for (int line = 0; line < bytes; line += 64) __builtin_prefetch(ahead + line / 64 * look.step, 0, 0);
  else
    UNROLL for (int line = 0; line < bytes; line += 64) __builtin_prefetch(ahead + line / 64 * look.step);
  return ahead + bytes / 64 * look.step;
}

// MARK: Tiles

typedef row_sum stream_sums[MOE_STREAM_ROWS][VECTORS];

INLINE void clear(int rows, stream_sums sum) {
  UNROLL for (int m = 0; m < rows; m++)
    UNROLL for (int v = 0; v < VECTORS; v++) sum[m][v] = sum_from(splat(0));
}

INLINE void store_sums(const moe_stream_work *w, int rows, stream_sums sum) {
  UNROLL for (int m = 0; m < rows; m++)
    UNROLL for (int v = 0; v < VECTORS; v++) store(w->c + m * w->c_stride + v * LANES, sum[m][v].x);
}

/// Two inputs of weights of an element type.
INLINE void dense_step(moe_weights weights, int rows, const uint8_t *words, const uint8_t *a, stream_sums sum) {
  const int dots = 2 / (int)inputs_of_step(weights);
  UNROLL for (int i = 0; i < dots; i++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      vu x = weights_at(weights, words, i, i, v);
      UNROLL for (int m = 0; m < rows; m++)
        dot(weights, &sum[m][v], x, step_of(weights, a + m * row_stride(weights) + i * 4));
    }
}

INLINE void stream_dense(moe_weights weights, int rows, const moe_stream_work *w) {
  const int step_bytes = 2 * MOE_PANEL * (weights == MOE_WEIGHTS_F32 ? 4 : 2);
  const look_ahead look = look_ahead_of(0, weights, w);
  stream_sums sum;
  clear(rows, sum);
  const uint8_t *a = w->a, *words = w->b;
  for (int64_t block = 0; block < w->inputs; block += MOE_BLOCK, a += w->block_bytes) {
    int64_t count = moe_min(MOE_BLOCK, w->inputs - block);
    const uint8_t *ahead = ahead_at(look, w, words);
    for (int64_t k = 0; k < count; k += 2, words += step_bytes) {
      ahead = fetch(look, ahead, step_bytes);
      dense_step(weights, rows, words, a + moe_dot_offset(dot_of(weights), k), sum);
    }
  }
  store_sums(w, rows, sum);
}

/// One step of codes.
INLINE void coded_step(int stored, moe_decoder_kind kind, moe_weights weights, int rows, decoding d,
                       const uint8_t *words, const uint8_t *a, stream_sums sum) {
  const int dots = 4 / (int)inputs_of_step(weights);  // of four inputs
  UNROLL for (int quad = 0; quad < moe_tile_step(stored) / 4; quad++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      vu codes = step_quad(stored, weights != MOE_WEIGHTS_BYTES && has_pairs(stored, kind), words, quad, v);
      vu w[4];
      if (weights == MOE_WEIGHTS_BYTES)
        w[0] = quad_bytes(stored, kind, d, codes);
      else if (are_pairs(weights))
        quad_pairs(stored, d, codes, true, w);
      else
        quad_values(stored, kind, d, codes, (vf *)w);
      UNROLL for (int i = 0; i < dots; i++)
        UNROLL for (int m = 0; m < rows; m++)
          dot(weights, &sum[m][v], w[i], step_of(weights, a + m * row_stride(weights) + (quad * dots + i) * 4));
      // As in `tile_pass`: what is not needed yet is not decoded yet.
      if (weights == MOE_WEIGHTS_F32) __asm__("" : "+r"(words));
    }
}

INLINE void stream_coded(int stored, moe_decoder_kind kind, moe_weights weights, int rows, const moe_stream_work *w) {
  const int step = moe_tile_step(stored), step_bytes = MOE_PANEL * step * stored / 8;
  const decoding d = decoding_of(w->decoder);
  const bool bytes = weights == MOE_WEIGHTS_BYTES;
  const int32_t offset = bytes ? w->decoder->byte_offset : 0;
  const float unit = bytes ? w->decoder->unit : 1;
  const moe_form *form = w->form;
  const look_ahead look = look_ahead_of(stored, weights, w);
  stream_sums total;
  clear(rows, total);
  stream_numbers numbers;
  numbers.next_group = numbers.next_super = 0;
  const uint8_t *a = w->a, *words = w->b;
  int64_t index = 0;
  for (int64_t block = 0; block < w->inputs; block += MOE_BLOCK, a += w->block_bytes) {
    int64_t block_end = moe_min(MOE_BLOCK, w->inputs - block);
    for (int64_t start = 0; start < block_end; start += w->segment, index += w->rows.pitch) {
      const uint8_t *ahead = ahead_at(look, w, words);
      if (block + start == numbers.next_group) {
        words = take_stream_numbers(form, words, block + start, &numbers);
        ahead = fetch(look, ahead, 64);
      }
      stream_sums sum;
      UNROLL for (int m = 0; m < rows; m++)
        UNROLL for (int v = 0; v < VECTORS; v++) sum[m][v] = sum_from(segment_start(weights, &w->rows, offset, index, m));
      int64_t end = moe_min(start + w->segment, block_end);
      for (int64_t k = start; k < end; k += step, words += step_bytes) {
        ahead = fetch(look, ahead, step_bytes);
        coded_step(stored, kind, weights, rows, d, words, a + moe_dot_offset(dot_of(weights), k), sum);
      }
      if (bytes && w->one_scale) {
        UNROLL for (int m = 0; m < rows; m++) {
          const vf scale = splat(w->rows.scales[index + m]);
          UNROLL for (int v = 0; v < VECTORS; v++)
            total[m][v].x = multiply_add(__builtin_convertvector((vi)sum[m][v].x, vf), scale, total[m][v].x);
        }
        continue;
      }
      UNROLL for (int m = 0; m < rows; m++) {
        vf scale = splat(bytes ? w->rows.scales[index + m] * unit : 1);
        UNROLL for (int v = 0; v < VECTORS; v++) {
          vf s = whole_sum(weights, sum[m][v]);
          if (bytes) s = __builtin_convertvector((vi)s, vf) * scale;
          total[m][v].x = multiply_add(s, numbers.scale[v], total[m][v].x);
        }
        if (form->correction == MOE_CORRECTION_NONE) continue;
        vf minus = splat(-w->rows.sums[index + m]);
        UNROLL for (int v = 0; v < VECTORS; v++) total[m][v].x = multiply_add(minus, numbers.minimum[v], total[m][v].x);
      }
    }
  }
  if (bytes && w->one_scale && w->all_inputs)
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int v = 0; v < VECTORS; v++) total[m][v].x *= numbers.scale[v] * splat(unit);
  store_sums(w, rows, total);
}

/// `stored` bits of codes, or 0 and the element type as `kind`.
INLINE void stream(int stored, int kind, moe_weights weights, int rows, const moe_stream_work *w) {
  if (stored == 0)
    stream_dense(weights == MOE_WEIGHTS_PAIRS ? weights : (moe_weights)kind, rows, w);
  else
    stream_coded(stored, (moe_decoder_kind)kind, weights, rows, w);
}
