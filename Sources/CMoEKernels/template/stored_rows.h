// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Rows of stored weights as fp32.

/// Neighbours of a row with one scale.
typedef struct run {
  const uint8_t *p;
  decoding decoding;
  float scale, zero;
} run;

INLINE vu load_nibbles(const uint8_t *p) {
  uint64_t word = 0;
  memcpy(&word, p, LANES / 2);
  vu words, shifts;
  UNROLL for (int lane = 0; lane < LANES; lane++) {
    words[lane] = (uint32_t)(word >> lane / 8 * 32);
    shifts[lane] = (uint32_t)lane % 8 * 4;
  }
  return words >> shifts & 15;
}

/// Small floats of 8 bits without special codes.
INLINE vf load_small_floats(int32_t fraction_bits, uint32_t exponent, const uint8_t *p) {
#ifdef FUSED
  // Their bits are those of an fp16 with another bias: a power of two, which fp16 has for subnormals, too.
  uint8_t __attribute__((ext_vector_type(LANES))) bytes;
  memcpy(&bytes, p, sizeof bytes);
  vh half = __builtin_convertvector(bytes, vh);
  half = fraction_bits == 2 ? half << 8 : (half << 7 & 0x3f80) | (half << 8 & 0x8000);
  typedef _Float16 vhf __attribute__((ext_vector_type(LANES)));
  return __builtin_convertvector((vhf)half, vf) * from_bits((vu)(exponent + (15u << 23)));
#else
  return small_float(load_bytes(p), fraction_bits, exponent);
#endif
}

/// Columns k ..< k + LANES of a run.
INLINE vf run_values(moe_row_kind kind, const run *run, int64_t k) {
#pragma clang fp contract(off)
  vf x;
  switch (kind) {
  case MOE_ROW_F32: return load(run->p + 4 * k);
  case MOE_ROW_F16: return widen_f16(run->p + 2 * k);
  case MOE_ROW_BF16: return number_vector(MOE_NUMBER_BF16, run->p + 2 * k);
  case MOE_ROW_TABLE4: x = coded_value(4, MOE_DECODER_TABLE, run->decoding, load_nibbles(run->p + k / 2), 0); break;
  case MOE_ROW_TABLE8: x = coded_value(8, MOE_DECODER_TABLE, run->decoding, load_bytes(run->p + k), 0); break;
  case MOE_ROW_INTEGER4: x = coded_value(4, MOE_DECODER_INTEGER, run->decoding, load_nibbles(run->p + k / 2), 0); break;
  case MOE_ROW_INTEGER8: x = coded_value(8, MOE_DECODER_INTEGER, run->decoding, load_bytes(run->p + k), 0); break;
  case MOE_ROW_E4M3: return load_small_floats(3, run->decoding.exponent, run->p + k) * run->scale;
  case MOE_ROW_E5M2: return load_small_floats(2, run->decoding.exponent, run->p + k) * run->scale;
  }
  return (x - run->zero) * run->scale;
}

/// Column k of a run.
INLINE float run_value(moe_row_kind kind, const run *run, int64_t k) {
  switch (kind) {
  case MOE_ROW_F32: return moe_read_element(MOE_ELEMENT_F32, run->p + 4 * k);
  case MOE_ROW_F16: return moe_read_element(MOE_ELEMENT_F16, run->p + 2 * k);
  case MOE_ROW_BF16: return moe_read_element(MOE_ELEMENT_BF16, run->p + 2 * k);
  case MOE_ROW_TABLE4:
  case MOE_ROW_INTEGER4: return (run->decoding.decoder->table[run->p[k / 2] >> k % 2 * 4 & 15] - run->zero) * run->scale;
  default: return (run->decoding.decoder->table[run->p[k]] - run->zero) * run->scale;
  }
}

/// Whether a rule holds for bytes of small floats.
INLINE bool follow_rule(const uint8_t *codes, int64_t count, uint8_t special) {
  uint8_t greatest = 0;
  for (int64_t i = 0; i < count; i++) {
    uint8_t size = codes[i] & 0x7f;
    greatest = size > greatest ? size : greatest;
  }
  return greatest < special;
}

/// Calls USE for the runs of columns `first` ..< `first` + `count`.
#define EACH_RUN(kind, d, row, first, count, USE)                                                                      \
  const moe_stored_rows *rows = (d)->rows;                                                                                    \
  run run = {.p = (const uint8_t *)rows->base + (row) * rows->row_bytes};                                              \
  int64_t end = (first) + (count);                                                                                     \
  if ((kind) <= MOE_ROW_BF16) {                                                                                        \
    int64_t k = (first), stop = end;                                                                                   \
    USE;                                                                                                               \
  } else {                                                                                                             \
    run.decoding = decoding_of((d)->decoder);                                                                          \
    int64_t group = (first) / rows->group, next = (group + 1) * rows->group;                                           \
    int64_t place = (rows->first_row + (row) * rows->row_step) / rows->row_group * rows->row_stride +                  \
                    group * rows->group_stride;                                                                        \
    for (int64_t k = (first); k < end; k = next, next += rows->group, place += rows->group_stride) {                   \
      int64_t stop = next < end ? next : end;                                                                          \
      run.scale = rows->scales[place];                                                                                 \
      run.zero = rows->zeros ? rows->zeros[place] : 0;                                                                 \
      USE;                                                                                                             \
    }                                                                                                                  \
  }

INLINE void decode_run(moe_row_kind kind, const run *run, int64_t k, int64_t stop, float *out) {
  for (; k + LANES <= stop; k += LANES, out += LANES) store(out, run_values(kind, run, k));
  for (; k < stop; k++) *out++ = run_value(kind, run, k);
}

INLINE void decode_row_as(moe_row_kind kind, const moe_row_decoder *d, int64_t row, int64_t first, int64_t count,
                          float *out) {
  EACH_RUN(kind, d, row, first, count, decode_run(kind, &run, k, stop, out + (k - first)))
}

#define EACH_ROW_KIND(F)                                                                                               \
  F(F32) F(F16) F(BF16) F(TABLE4) F(TABLE8) F(INTEGER4) F(INTEGER8) F(E4M3) F(E5M2)

/// The kind by which these columns are decoded.
INLINE moe_row_kind row_kind(const moe_row_decoder *d, int64_t row, int64_t first, int64_t count) {
  if (d->kind < MOE_ROW_E4M3) return d->kind;
  const uint8_t *codes = (const uint8_t *)d->rows->base + row * d->rows->row_bytes + first;
  return follow_rule(codes, count, d->special) ? d->kind : MOE_ROW_TABLE8;
}

static void decode_row(const moe_row_decoder *d, int64_t row, int64_t first, int64_t count, float *out) {
  switch (row_kind(d, row, first, count)) {
#define DECODE(kind)                                                                                                   \
  case MOE_ROW_##kind: decode_row_as(MOE_ROW_##kind, d, row, first, count, out); return;
    EACH_ROW_KIND(DECODE)
  }
}
