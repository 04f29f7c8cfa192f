// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include <math.h>

#include "convert.h"
#include "kernels.h"
#include "row_decoder.h"

/// Room for a decoder of 8 bits.
typedef struct decoder_room {
  _Alignas(64) uint8_t bytes[sizeof(moe_decoder) + 256 * sizeof(float)];
} decoder_room;

moe_stored_rows moe_stored_rows_dense(const void *base, int64_t row_bytes, moe_element element) {
  return (moe_stored_rows){.base = base, .row_bytes = row_bytes, .element = element};
}

static const moe_row_kind dense_kinds[] = {
    [MOE_ELEMENT_F32] = MOE_ROW_F32, [MOE_ELEMENT_F16] = MOE_ROW_F16, [MOE_ELEMENT_BF16] = MOE_ROW_BF16};

static moe_row_kind coded_kind(const moe_decoder *decoder, int32_t bits) {
  switch (decoder->kind) {
  case MOE_DECODER_INTEGER: return bits == 4 ? MOE_ROW_INTEGER4 : MOE_ROW_INTEGER8;
  case MOE_DECODER_E4M3: return MOE_ROW_E4M3;
  case MOE_DECODER_E5M2: return MOE_ROW_E5M2;
  default: return bits == 4 ? MOE_ROW_TABLE4 : MOE_ROW_TABLE8;
  }
}

static moe_row_decoder prepared(const moe_stored_rows *rows, decoder_room *room) {
  if (rows->bits == 0) return (moe_row_decoder){.rows = rows, .kind = dense_kinds[rows->element]};
  moe_decoder *decoder = (moe_decoder *)room;
  moe_form form = moe_form_coded(rows->bits, 0, MOE_NUMBER_F32);
  moe_decoder_make(decoder, &form, rows->table);
  moe_row_decoder result = {rows, decoder, coded_kind(decoder, rows->bits), 0x80};
  bool small = result.kind == MOE_ROW_E4M3 || result.kind == MOE_ROW_E5M2;
  if (small && rows->zeros) result.kind = MOE_ROW_TABLE8;
  // Those of fp16, by which these are computed, are infinite or NaN.
  if (result.kind == MOE_ROW_E5M2) result.special = 0x7c;
  for (int32_t code = 0; code < 1 << rows->bits; code++) {
    uint8_t size = code & 0x7f;
    if (isfinite(rows->table[code])) continue;
    // The rule was made for finite codes. Of small floats the greatest are found and looked up; others always are.
    if (small && size != 0) result.special = size < result.special ? size : result.special;
    else result.kind = rows->bits == 4 ? MOE_ROW_TABLE4 : MOE_ROW_TABLE8;
  }
  return result;
}

void moe_decode_rows(const moe_kernels *kernels, const moe_stored_rows *source, int64_t rows, int64_t columns, float *out) {
  decoder_room room;
  moe_row_decoder decoder = prepared(source, &room);
  for (int64_t row = 0; row < rows; row++) kernels->decode_row(&decoder, row, 0, columns, out + row * columns);
}

static void compare_rows(const moe_kernels *kernels, const moe_row_decoder *dense, const moe_row_decoder *other,
                         int64_t first_row, int64_t rows, int64_t columns, moe_row_comparison *sum) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t first = 0; first < columns; first += MOE_ROW_PIECE) {
      const moe_stored_rows *numbers = dense->rows;
      const uint8_t *at = (const uint8_t *)numbers->base + row * numbers->row_bytes;
      kernels->compare[dense->kind](at + first * moe_element_bytes(numbers->element), other, row, first,
                                    moe_min(MOE_ROW_PIECE, columns - first), first_row + row, sum);
    }
}

/// Both are codes: one of them is decoded into the nearest cache.
static void compare_codes(const moe_kernels *kernels, const moe_row_decoder *a, const moe_row_decoder *b,
                          int64_t first_row, int64_t rows, int64_t columns, moe_row_comparison *sum) {
  _Alignas(64) float values[MOE_ROW_PIECE];
  for (int64_t row = 0; row < rows; row++)
    for (int64_t first = 0; first < columns; first += MOE_ROW_PIECE) {
      int64_t count = moe_min(MOE_ROW_PIECE, columns - first);
      kernels->decode_row(a, row, first, count, values);
      kernels->compare[MOE_ROW_F32](values, b, row, first, count, first_row + row, sum);
    }
}

void moe_compare_rows(const moe_kernels *kernels, const moe_stored_rows *a, const moe_stored_rows *b, int64_t first_row, int64_t rows,
                      int64_t columns, moe_row_comparison *sum) {
  decoder_room rooms[2];
  moe_row_decoder first = prepared(a, &rooms[0]), second = prepared(b, &rooms[1]);
  if (moe_row_is_dense(&first)) {
    compare_rows(kernels, &first, &second, first_row, rows, columns, sum);
  } else if (moe_row_is_dense(&second)) {
    moe_row_comparison turned = *sum;
    turned.a_squares = sum->b_squares, turned.b_squares = sum->a_squares;
    compare_rows(kernels, &second, &first, first_row, rows, columns, &turned);
    *sum = turned;
    sum->a_squares = turned.b_squares, sum->b_squares = turned.a_squares;
  } else {
    compare_codes(kernels, &first, &second, first_row, rows, columns, sum);
  }
}

// MARK: What rounding leaves

/// The square of the power of two of a number, which is no less than `least`.
static inline float squared_power(moe_element element, const uint8_t *p, float least) {
  float power = moe_bits_float(moe_float_bits(moe_read_element(element, p)) & 0x7f800000);
  power = power > least ? power : least;
  return power * power;
}

/// Their sum over numbers: many sums side by side, of which the compiler makes vectors where it knows the element.
static inline __attribute__((always_inline)) double squared_powers(moe_element element, const uint8_t *p, int64_t count, float least) {
  enum { SUMS = 32 };
  float sums[SUMS] = {0};
  double total = 0;
  int64_t i = 0, size = element == MOE_ELEMENT_F32 ? 4 : 2;
  for (; i + SUMS <= count; i += SUMS)
    for (int64_t j = 0; j < SUMS; j++) sums[j] += squared_power(element, p + (i + j) * size, least);
  for (int64_t j = 0; j < SUMS; j++) total += (double)sums[j];
  for (; i < count; i++) total += (double)squared_power(element, p + i * size, least);
  return total;
}

/// Of numbers, whose last place is a fixed part of their power of two.
static double noise_of_numbers(moe_element element, const uint8_t *p, int64_t count) {
  switch (element) {
  case MOE_ELEMENT_F32: return squared_powers(element, p, count, 0x1p-126f) * 0x1p-46 / 12;
  case MOE_ELEMENT_F16: return squared_powers(element, p, count, 0x1p-14f) * 0x1p-20 / 12;
  case MOE_ELEMENT_BF16: return squared_powers(element, p, count, 0x1p-126f) * 0x1p-14 / 12;
  }
}

/// Σ of what a table has for each byte: four sums side by side, as each addition waits for the one before.
static double looked_up(const float *table, const uint8_t *bytes, int64_t count) {
  float sums[4] = {0};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (int64_t j = 0; j < 4; j++) sums[j] += table[bytes[i + j]];
  for (; i < count; i++) sums[0] += table[bytes[i]];
  return (double)sums[0] + (double)sums[1] + (double)sums[2] + (double)sums[3];
}

/// Whether the bytes of a group all stand for 0. Such a group has lost nothing, and its scale may be any number.
static bool are_zero(const moe_stored_rows *source, int64_t place, const uint8_t *codes, int64_t count) {
  float zero = source->zeros ? source->zeros[place] : 0;
  uint8_t first = codes[0];
  if (source->table[source->bits == 4 ? first & 15 : first] != zero) return false;
  if (source->bits == 4 && (first & 15) != first >> 4) return false;
  for (int64_t i = 1; i < count; i++)
    if (codes[i] != first) return false;
  return true;
}

/// `bytes`: the variance of each byte, of both of its nibbles where codes are nibbles.
static double noise_of_codes(const moe_stored_rows *source, const float *variances, const float *bytes, int64_t row,
                             int64_t columns) {
  const uint8_t *codes = (const uint8_t *)source->base + row * source->row_bytes;
  int64_t place = (source->first_row + row * source->row_step) / source->row_group * source->row_stride;
  double sum = 0;
  for (int64_t first = 0; first < columns; first += source->group, place += source->group_stride) {
    int64_t count = moe_min(columns - first, source->group), bits = source->bits;
    const uint8_t *group = codes + first * bits / 8;
    if (are_zero(source, place, group, count * bits / 8)) continue;
    double scale = (double)source->scales[place];
    double run = looked_up(bytes, group, count * bits / 8);
    if (count * bits % 8 != 0) run += (double)variances[codes[columns / 2] & 15];
    sum += run * scale * scale;
  }
  return sum;
}

double moe_rounding_noise(const moe_stored_rows *source, const float *variances, int64_t rows, int64_t columns) {
  float bytes[256];
  if (source->bits == 4)
    for (int32_t byte = 0; byte < 256; byte++) bytes[byte] = variances[byte & 15] + variances[byte >> 4];
  double sum = 0;
  for (int64_t row = 0; row < rows; row++)
    sum += source->bits == 0
               ? noise_of_numbers(source->element, (const uint8_t *)source->base + row * source->row_bytes, columns)
               : noise_of_codes(source, variances, source->bits == 4 ? bytes : variances, row, columns);
  return sum;
}
