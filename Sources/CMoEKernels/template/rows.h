// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Rows of activations, as tiles want them.

enum { EIGHT = 8 };

typedef float v8f __attribute__((ext_vector_type(EIGHT)));
typedef int32_t v8i __attribute__((ext_vector_type(EIGHT)));
typedef uint32_t v8u __attribute__((ext_vector_type(EIGHT)));
typedef uint16_t v8h __attribute__((ext_vector_type(EIGHT)));
typedef int8_t v8b __attribute__((ext_vector_type(EIGHT)));

// Always inline: how eight floats are passed depends on the instruction set.

INLINE v8f load8(const float *x) {
  v8f v;
  memcpy(&v, x, sizeof v);
  return v;
}

/// To nearest, ties to even; NaN stays NaN.
INLINE v8u bf16_bits(v8f x) {
  v8u bits = (v8u)x, rounded = bits + 0x7fff + (bits >> 16 & 1);
  v8u is_nan = (v8u)((v8i)(bits & 0x7fffffff) > 0x7f800000);
  return ((is_nan & (bits | 0x400000)) | (~is_nan & rounded)) & 0xffff0000;
}

/// The nearest finite bf16, which leaves of a number that isn't finite that number.
INLINE v8f first_half(v8f x) {
  v8u bits = (v8u)x, size = bits & 0x7fffffff, rounded = size + 0x7fff + (size >> 16 & 1);
  return (v8f)((__builtin_elementwise_min(rounded, (v8u)0x7f7fffff) & 0xffff0000) | (bits & 0x80000000));
}

INLINE void store_halves(uint8_t *out, v8u bits) {
  v8h halves = __builtin_convertvector(bits >> 16, v8h);
  memcpy(out, &halves, sizeof halves);
}

INLINE float sum8(v8f x) {
  return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

/// The greatest magnitude, NaN if there is one: magnitudes are ordered as their bits are.
INLINE float magnitude8(v8i greatest) {
  int32_t most = 0;
  UNROLL for (int i = 0; i < EIGHT; i++) most = greatest[i] > most ? greatest[i] : most;
  return ((union { int32_t i; float f; }){most}).f;
}

/// One segment of `count` values, a multiple of 8, of the block of a row at `out`; planes are rows side by side.
INLINE void prepare_segment(moe_dot dot, moe_activations precision, int planes, const moe_rows *rows, int64_t index,
                            const float *x, int64_t first, int64_t count, uint8_t *out) {
  float scale = 0, inverse = 0;
  int32_t keep = -1;
  if (precision == MOE_ACTIVATIONS_I8) {
    v8i greatest = 0;
    for (int64_t k = 0; k < count; k += EIGHT) {
      v8i size = (v8i)load8(x + k) & 0x7fffffff;
      greatest = __builtin_elementwise_max(greatest, size);
    }
    float most = magnitude8(greatest);
    scale = most * (1.0f / 127);
    inverse = most < 1e-30f ? 0 : 127 / most;
    // Where a value is no number all codes are 0; their scale is none, then.
    keep = most < INFINITY ? -1 : 0;
  }
  v8f sum = 0;
  v8i byte_sums[MOE_PLANES_OF_FLOATS] = {0};
  for (int64_t k = 0; k < count; k += EIGHT) {
    v8f value = load8(x + k);
    uint8_t *to = out + moe_dot_offset(dot, first + k);
    if (precision == MOE_ACTIVATIONS_BF16) value = (v8f)bf16_bits(value);
    if (precision == MOE_ACTIVATIONS_I8) {
      v8f left = value * inverse;
      UNROLL for (int p = 0; p < planes; p++) {
        // The sum rounds to an integer in the low bits.
        v8i code = (v8i)((v8u)(left + 12582912.0f) - 0x4b400000) & keep;
        v8f rounded = __builtin_convertvector(code, v8f);
        byte_sums[p] += code;
        if (dot == MOE_DOT_I8) {
          v8b bytes = __builtin_convertvector(code, v8b);
          memcpy(to + p * moe_row_stride(dot), &bytes, sizeof bytes);
        }
        value = rounded * scale;
        left = (left - rounded) * MOE_PLANE;
      }
    }
    sum += value;
    if (dot == MOE_DOT_F32) memcpy(to, &value, sizeof value);
    if (dot == MOE_DOT_BF16) store_halves(to, (v8u)value);
    if (dot == MOE_DOT_SPLIT) {
      v8f half = first_half(value);
      store_halves(to, (v8u)half);
      store_halves(to + MOE_SPLIT_BYTES, bf16_bits(value - half));
    }
  }
  if (dot == MOE_DOT_I8) {
    for (int p = 0; p < planes; p++, index++, scale *= 1.0f / MOE_PLANE) {
      int32_t total = 0;
      UNROLL for (int i = 0; i < EIGHT; i++) total += byte_sums[p][i];
      rows->numbers.scales[index] = scale;
      rows->numbers.byte_sums[index] = total;
      rows->numbers.sums[index] = scale * (float)total;
    }
  } else if (rows->form.has_sums) {
    rows->numbers.sums[index] = sum8(sum);
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
