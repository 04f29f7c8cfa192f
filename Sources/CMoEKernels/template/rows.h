// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Rows of activations, as tiles want them.

/// Values at a time.
enum { WIDTH = LANES > 8 ? LANES : 8 };

typedef float wf __attribute__((ext_vector_type(WIDTH)));
typedef int32_t wi __attribute__((ext_vector_type(WIDTH)));
typedef uint32_t wu __attribute__((ext_vector_type(WIDTH)));
typedef uint16_t wh __attribute__((ext_vector_type(WIDTH)));
typedef int8_t wb __attribute__((ext_vector_type(WIDTH)));

// Always inline: how such vectors are passed depends on the instruction set.

INLINE wf load_values(const float *x) {
  wf v;
  memcpy(&v, x, sizeof v);
  return v;
}

/// To nearest, ties to even; NaN stays NaN.
INLINE wu bf16_bits(wf x) {
  wu bits = (wu)x, rounded = bits + 0x7fff + (bits >> 16 & 1);
  wu is_nan = (wu)((wi)(bits & 0x7fffffff) > 0x7f800000);
  return ((is_nan & (bits | 0x400000)) | (~is_nan & rounded)) & 0xffff0000;
}

/// The nearest finite bf16, which leaves of a number that isn't finite that number.
INLINE wf first_half(wf x) {
  wu bits = (wu)x, size = bits & 0x7fffffff, rounded = size + 0x7fff + (size >> 16 & 1);
  return (wf)((__builtin_elementwise_min(rounded, (wu)0x7f7fffff) & 0xffff0000) | (bits & 0x80000000));
}

/// Stores the values of a vector, of `size` bytes each: of a segment of eight no more than those.
INLINE void put(uint8_t *out, const void *values, size_t size, int64_t count) {
  if (count < WIDTH)
    memcpy(out, values, 8 * size);
  else
    memcpy(out, values, WIDTH * size);
}

INLINE void put_halves(uint8_t *out, wu bits, int64_t count) {
  wh halves = __builtin_convertvector(bits >> 16, wh);
  put(out, &halves, sizeof(uint16_t), count);
}

INLINE float sum_values(wf x) {
  UNROLL for (int half = WIDTH / 2; half > 0; half /= 2)
    UNROLL for (int i = 0; i < half; i++) x[i] += x[i + half];
  return x[0];
}

/// The greatest magnitude, NaN if there is one: magnitudes are ordered as their bits are.
INLINE float magnitude(wi greatest) {
  return ((union { int32_t i; float f; }){__builtin_reduce_max(greatest)}).f;
}

/// One segment of `count` values, eight or whole vectors, of the block of a row at `out`, which may be where they are; planes
/// are rows side by side.
INLINE void prepare_segment(moe_dot dot, moe_activations precision, int planes, const moe_rows *rows, int64_t index,
                            const float *x, int64_t first, int64_t count, uint8_t *out) {
  float scale = 0, inverse = 0, filled[WIDTH] = {0};
  int32_t keep = -1;
  if (count < WIDTH) x = memcpy(filled, x, (size_t)count * sizeof(float));
  if (precision == MOE_ACTIVATIONS_I8) {
    wi greatest = 0;
    for (int64_t k = 0; k < count; k += WIDTH) {
      wi size = (wi)load_values(x + k) & 0x7fffffff;
      greatest = __builtin_elementwise_max(greatest, size);
    }
    float most = magnitude(greatest);
    scale = most * (1.0f / 127);
    inverse = most < 1e-30f ? 0 : 127 / most;
    // Where a value is no number all codes are 0; their scale is none, then.
    keep = most < INFINITY ? -1 : 0;
  }
  wf sum = 0;
  wi byte_sums[MOE_PLANES_OF_FLOATS] = {0};
  for (int64_t k = 0; k < count; k += WIDTH) {
    wf value = load_values(x + k);
    uint8_t *to = out + moe_dot_offset(dot, first + k);
    if (precision == MOE_ACTIVATIONS_BF16) value = (wf)bf16_bits(value);
    if (precision == MOE_ACTIVATIONS_I8) {
      wf left = value * inverse;
      UNROLL for (int p = 0; p < planes; p++) {
        // The sum rounds to an integer in the low bits.
        wi code = (wi)((wu)(left + 12582912.0f) - 0x4b400000) & keep;
        wf rounded = __builtin_convertvector(code, wf);
        byte_sums[p] += code;
        if (dot == MOE_DOT_I8) {
          wb bytes = __builtin_convertvector(code, wb);
          put(to + p * moe_row_stride(dot), &bytes, 1, count);
        }
        value = rounded * scale;
        left = (left - rounded) * MOE_PLANE;
      }
    }
    sum += value;
    if (dot == MOE_DOT_F32) put(to, &value, sizeof(float), count);
    if (dot == MOE_DOT_BF16) put_halves(to, (wu)value, count);
    if (dot == MOE_DOT_SPLIT) {
      wf half = first_half(value);
      put_halves(to, (wu)half, count);
      put_halves(to + MOE_SPLIT_BYTES, bf16_bits(value - half), count);
    }
  }
  if (dot == MOE_DOT_I8) {
    for (int p = 0; p < planes; p++, index++, scale *= 1.0f / MOE_PLANE) {
      const int32_t total = __builtin_reduce_add(byte_sums[p]);
      rows->numbers.scales[index] = scale;
      rows->numbers.byte_sums[index] = total;
      rows->numbers.sums[index] = scale * (float)total;
    }
  } else if (rows->form.has_sums) {
    rows->numbers.sums[index] = sum_values(sum);
  }
}

INLINE void prepare_as(moe_dot dot, moe_activations precision, int planes, const moe_rows *rows, int64_t r,
                       int64_t first, int64_t count, const float *x) {
  uint8_t *out = moe_rows_data(rows, first) + r * planes * moe_row_stride(dot);
  int64_t segment = rows->form.segment, filled = moe_round_up(count, 32);
  float padded[MOE_BLOCK];
  if (count < filled) {
    memset(padded, 0, (size_t)filled * sizeof(float));
    x = memcpy(padded, x, (size_t)count * sizeof(float));
  }
  for (int64_t k = 0; k < filled; k += segment)
    prepare_segment(dot, precision, planes, rows, moe_rows_segment(rows, first + k) + r * planes, x + k, k,
                    moe_min(segment, filled - k), out);
}

static void prepare(const moe_rows *rows, int64_t r, int64_t first, int64_t count, const float *x) {
  switch (rows->form.dot) {
  case MOE_DOT_I8:
    if (rows->form.planes == 1)
      prepare_as(MOE_DOT_I8, MOE_ACTIVATIONS_I8, 1, rows, r, first, count, x);
    else
      prepare_as(MOE_DOT_I8, MOE_ACTIVATIONS_I8, MOE_PLANES_OF_FLOATS, rows, r, first, count, x);
    break;
  case MOE_DOT_BF16: prepare_as(MOE_DOT_BF16, MOE_ACTIVATIONS_BF16, 1, rows, r, first, count, x); break;
  case MOE_DOT_SPLIT: prepare_as(MOE_DOT_SPLIT, MOE_ACTIVATIONS_F32, 1, rows, r, first, count, x); break;
  case MOE_DOT_F32:
    switch (rows->form.precision) {
    case MOE_ACTIVATIONS_F32: prepare_as(MOE_DOT_F32, MOE_ACTIVATIONS_F32, 1, rows, r, first, count, x); break;
    case MOE_ACTIVATIONS_BF16: prepare_as(MOE_DOT_F32, MOE_ACTIVATIONS_BF16, 1, rows, r, first, count, x); break;
    case MOE_ACTIVATIONS_I8: prepare_as(MOE_DOT_F32, MOE_ACTIVATIONS_I8, 1, rows, r, first, count, x); break;
    }
  }
}
