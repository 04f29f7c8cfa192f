// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Values of codes: pieces of a panel as fp32, input after input, for the tiles of fp32 weights.

enum { VECTORS = MOE_PANEL / LANES };

// MARK: Numbers of groups

INLINE vu load_bytes(const void *p) {
  uint8_t __attribute__((ext_vector_type(LANES))) bytes;
  memcpy(&bytes, p, sizeof bytes);
  return __builtin_convertvector(bytes, vu);
}

/// `moe_small_float`
INLINE vf small_float(vu code, int32_t fraction_bits, uint32_t exponent) {
  vu size = code & 0x7f, bits = size << (uint32_t)(23 - fraction_bits), first_normal = (vu)(exponent + (1u << 23));
  vf subnormal = from_bits(bits + first_normal) - from_bits(first_normal);
  vf magnitude = choose((vi)size < (1 << fraction_bits), subnormal, from_bits(bits + exponent));
  return from_bits((vu)magnitude | (code & 0x80) << 24);
}

INLINE vf number_vector(moe_number number, const uint8_t *p) {
  switch (number) {
  case MOE_NUMBER_F32: return load(p);
  case MOE_NUMBER_F16: return widen_f16(p);
  case MOE_NUMBER_BF16: {
    vh half;
    memcpy(&half, p, sizeof half);
    return from_bits(__builtin_convertvector(half, vu) << 16);
  }
  case MOE_NUMBER_E8M0: {
    vu exponent = load_bytes(p) << 23;
    return choose((vi)exponent == 0, splat(0x1p-127f), from_bits(exponent));
  }
  case MOE_NUMBER_E4M3FN: return small_float(load_bytes(p), 3, (127 - 7) << 23);
  case MOE_NUMBER_U8: return __builtin_convertvector((vi)load_bytes(p), vf);
  case MOE_NUMBER_I8: return __builtin_convertvector((vi)(load_bytes(p) << 24) >> 24, vf);
  }
}

/// 32 numbers, times `factor` where there is one; returns where the next ones are.
static const uint8_t *take_numbers(moe_number number, const uint8_t *p, const vf *factor, vf *out) {
  for (int v = 0; v < VECTORS; v++) {
    vf x = number_vector(number, p + v * LANES * moe_number_bytes(number));
    out[v] = factor ? x * factor[v] : x;
  }
  return p + MOE_PANEL * moe_number_bytes(number);
}

/// What holds for 32 outputs and the inputs of a group: value = (table[code] - zero) · scale - minimum. Taking 0 away
/// changes no bit, so one formula serves all corrections.
typedef struct numbers {
  vf factor[VECTORS], minimum_factor[VECTORS], scale[VECTORS], zero[VECTORS], minimum[VECTORS];
} numbers;

static const uint8_t *take_super_group(const moe_form *form, const uint8_t *p, numbers *numbers) {
  p = take_numbers(form->factor, p, NULL, numbers->factor);
  if (form->correction != MOE_CORRECTION_MINIMUM) return p;
  return take_numbers(form->factor, p, NULL, numbers->minimum_factor);
}

static const uint8_t *take_group(const moe_form *form, const uint8_t *p, numbers *numbers) {
  bool factors = form->super_group != 0;
  p = take_numbers(form->scale, p, factors ? numbers->factor : NULL, numbers->scale);
  switch (form->correction) {
  case MOE_CORRECTION_NONE: return p;
  case MOE_CORRECTION_ZERO: return take_numbers(form->correction_number, p, NULL, numbers->zero);
  case MOE_CORRECTION_MINIMUM:
    return take_numbers(form->correction_number, p, factors ? numbers->minimum_factor : NULL, numbers->minimum);
  }
}

// MARK: Codes

/// Up to 16 entries in registers where lanes can be picked, else any of 256 in memory.
INLINE vf look_up(bool is_short, const float *table, vu code) {
#ifdef PERMUTE
  if (is_short && LANES == 16) return PERMUTE(load(table), (vi)code);
  if (is_short) return choose((vi)(code << 28) < 0, PERMUTE(load(table + 8), (vi)code), PERMUTE(load(table), (vi)code));
#else
  (void)is_short;
#endif
  vf x;
  UNROLL for (int lane = 0; lane < LANES; lane++) x[lane] = table[code[lane]];
  return x;
}

/// Of a decoder, what does not change: in registers, as the compiler can't know that nobody writes to it.
typedef struct decoding {
  const float *table;
  uint32_t flip, exponent;
  int32_t offset;
} decoding;

INLINE vf decoded(int stored, moe_decoder_kind kind, decoding d, vu code) {
  bool is_short = stored <= 4;
  if (is_short && LANES == 16) kind = MOE_DECODER_TABLE;  // one permutation is less than any arithmetic
  switch (kind) {
  case MOE_DECODER_TABLE: return look_up(is_short, d.table, code);
  case MOE_DECODER_INTEGER: return __builtin_convertvector((vi)(code ^ d.flip) - d.offset, vf);
  case MOE_DECODER_E4M3: return small_float(code, 3, d.exponent);
  case MOE_DECODER_E5M2: return small_float(code, 2, d.exponent);
  }
}

INLINE vf scaled_value(bool corrected, vf x, const numbers *numbers, int v) {
#pragma clang fp contract(off)
  if (!corrected) return x * numbers->scale[v];
  return (x - numbers->zero[v]) * numbers->scale[v] - numbers->minimum[v];
}

/// Where the words of a plane are, and how far the inputs of this step are from their lowest bits.
typedef struct plane {
  const uint8_t *words;
  uint32_t shift;
} plane;

/// Goes on to the step at input k.
INLINE const uint8_t *next_words(plane *plane, int width, int64_t k, const uint8_t *p) {
  if (width == 0) return p;
  uint32_t part = (uint32_t)k % (32 / (uint32_t)width);
  plane->shift = part / 4 * (uint32_t)width;
  if (part != 0) return p;
  plane->words = p;
  return p + (width == 8 ? 2 : 1) * MOE_WORDS_BYTES;
}

/// 8 inputs of LANES outputs. The lower bits of a code are in the `wide` plane.
INLINE void unpack_step(int stored, moe_decoder_kind kind, bool corrected, int wide_width, plane wide, plane narrow,
                        decoding decoding, const numbers *numbers, int v, float *out) {
  int narrow_width = stored - wide_width;
  vu low[2] = {0}, high = {0};
  low[0] = load_bits(wide.words + v * LANES * 4) >> wide.shift;
  if (wide_width == 8) low[1] = load_bits(wide.words + MOE_WORDS_BYTES + v * LANES * 4);
  if (narrow_width) high = load_bits(narrow.words + v * LANES * 4) >> narrow.shift;
  UNROLL for (int i = 0; i < MOE_STEP; i++) {
    uint32_t byte = 8 * ((uint32_t)i % 4), part = (uint32_t)i / 4;
    vu code = wide_width == 8 ? low[part] >> byte : low[0] >> (byte + part * (uint32_t)wide_width);
    code &= (1u << wide_width) - 1;
    if (narrow_width)
      code |= (high >> (byte + part * (uint32_t)narrow_width) & ((1u << narrow_width) - 1)) << (uint32_t)wide_width;
    store(out + i * MOE_PANEL + v * LANES, scaled_value(corrected, decoded(stored, kind, decoding, code), numbers, v));
  }
}

// MARK: Pieces

INLINE void unpack_as(int stored, moe_decoder_kind kind, bool corrected, const moe_coded_piece *piece, float *out) {
  const moe_form *form = piece->form;
  const moe_decoder *decoder = piece->decoder;
  decoding decoding = {decoder->table, (uint32_t)decoder->flip, decoder->exponent, decoder->offset};
  int wide_width = stored & 8 ? 8 : stored & 4 ? 4 : 2;
  int64_t group = moe_group(form), super_group = moe_super_group(form), end = piece->first + piece->count;
  moe_position position = moe_position_at(form, piece->first);
  int64_t next_group = position.group_start + group, next_super = position.super_start + super_group;
  numbers numbers = {0};
  if (form->super_group) take_super_group(form, piece->panel + position.factors, &numbers);
  take_group(form, piece->panel + position.numbers, &numbers);
  const uint8_t *p = piece->panel + position.words, *start = piece->panel + position.first;
  plane wide = {0}, narrow = {0};
  for (int64_t k = piece->first; k < end; k += MOE_STEP, out += MOE_STEP * MOE_PANEL) {
    if (k == next_group) {
      if (k == next_super) {
        p = take_super_group(form, p, &numbers);
        next_super += super_group;
      }
      p = take_group(form, p, &numbers);
      next_group += group;
    }
    for (int64_t line = 0; line < stored * MOE_PANEL * MOE_STEP / 8; line += 64)
      __builtin_prefetch(piece->ahead + (p - start) + line);
    p = next_words(&narrow, stored - wide_width, k, p);
    p = next_words(&wide, wide_width, k, p);
    UNROLL for (int v = 0; v < VECTORS; v++)
      unpack_step(stored, kind, corrected, wide_width, wide, narrow, decoding, &numbers, v, out);
  }
}

#define EACH_CODING(F)                                                                                                 \
  F(2, TABLE) F(2, INTEGER) F(3, TABLE) F(3, INTEGER) F(4, TABLE) F(4, INTEGER) F(5, TABLE) F(5, INTEGER)              \
  F(6, TABLE) F(6, INTEGER) F(8, TABLE) F(8, INTEGER) F(8, E4M3) F(8, E5M2)

#define UNPACK(stored, kind)                                                                                           \
  static void unpack_##stored##_##kind(const moe_coded_piece *piece, float *out) {                                     \
    unpack_as(stored, MOE_DECODER_##kind, false, piece, out);                                                          \
  }                                                                                                                    \
  static void unpack_corrected_##stored##_##kind(const moe_coded_piece *piece, float *out) {                           \
    unpack_as(stored, MOE_DECODER_##kind, true, piece, out);                                                           \
  }
#define UNPACK_ENTRY(stored, kind)                                                                                     \
  [stored][MOE_DECODER_##kind] = {unpack_##stored##_##kind, unpack_corrected_##stored##_##kind},

EACH_CODING(UNPACK)

static void unpack(const moe_coded_piece *piece, float *out) {
  static const moe_unpack bodies[9][MOE_DECODER_COUNT][2] = {EACH_CODING(UNPACK_ENTRY)};
  const moe_form *form = piece->form;
  bodies[moe_stored_bits(form->bits)][piece->decoder->kind][form->correction != MOE_CORRECTION_NONE](piece, out);
}
