// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Pieces of codes, unpacked: for many rows, and to read weights back.

/// Where the words of a plane are, and how far the inputs of this step are from their lowest bits.
typedef struct plane {
  const uint8_t *words;
  uint32_t shift;
} plane;

/// Goes on to the eight inputs at k.
INLINE const uint8_t *next_words(plane *plane, int width, int64_t k, const uint8_t *p) {
  if (width == 0) return p;
  uint32_t part = (uint32_t)k % (32 / (uint32_t)width);
  plane->shift = part / 4 * (uint32_t)width;
  if (part != 0) return p;
  plane->words = p;
  return p + (width == 8 ? 2 : 1) * MOE_WORDS_BYTES;
}

/// Codes of four of the eight inputs, each in a byte. The lower bits of a code are in the `wide` plane.
INLINE vu plane_quad(int wide_width, int narrow_width, plane wide, plane narrow, int part, int v) {
  const uint8_t *p = wide.words + v * LANES * 4;
  if (wide_width == 8) return load_bits(p + part * MOE_WORDS_BYTES);
  vu low = load_bits(p) >> (wide.shift + (uint32_t)(part * wide_width)) & (0x01010101u * ((1u << wide_width) - 1));
  if (narrow_width == 0) return low;
  vu high = load_bits(narrow.words + v * LANES * 4) >> (narrow.shift + (uint32_t)(part * narrow_width));
  return low | (high & (0x01010101u * ((1u << narrow_width) - 1))) << (uint32_t)wide_width;
}

/// What becomes of codes.
typedef enum unpacked { VALUES, ENTRIES, ENTRY_PAIRS, ENTRY_BYTES } unpacked;

INLINE vf whole_value(const shared *s, vf x, int v) {
#pragma clang fp contract(off)
  return (x - s->zero[v]) * s->scale[v] - s->minimum[v];
}

/// Four inputs of LANES outputs to where they belong from `out` on: the piece's inputs from `k` on.
INLINE void put_quad(unpacked what, int stored, moe_decoder_kind kind, decoding d, const shared *s, vu quad, int v,
                     int64_t k, uint8_t *out) {
  if (what == ENTRY_BYTES) {
    store((float *)(out + k * MOE_PANEL) + v * LANES, (vf)quad_bytes(stored, kind, d, quad));
    return;
  }
  vu pairs[2];
  if (what == ENTRY_PAIRS && has_pairs(stored, kind)) {
    quad_pairs(stored, d, quad, true, pairs);
  } else {
    vf x[4];
    quad_values(stored, kind, d, quad, x);
    if (what != ENTRY_PAIRS) {
      UNROLL for (int i = 0; i < 4; i++)
        store((float *)out + (k + i) * MOE_PANEL + v * LANES, what == VALUES ? whole_value(s, x[i], v) : x[i]);
      return;
    }
    UNROLL for (int i = 0; i < 2; i++) pairs[i] = rounded_pair(x[2 * i], x[2 * i + 1]);
  }
  UNROLL for (int i = 0; i < 2; i++)
    store((float *)(out + (k + 2 * i) * MOE_PANEL * 2) + v * LANES, (vf)pairs[i]);
}

INLINE void unpack_as(unpacked what, int stored, moe_decoder_kind kind, const moe_coded_piece *piece, uint8_t *out) {
  int wide_width = stored & 8 ? 8 : stored & 4 ? 4 : 2, narrow_width = stored - wide_width;
  const moe_position position = moe_position_at(piece->form, piece->first);
  const decoding d = decoding_of(piece->decoder);
  group_walk walk;
  const uint8_t *p = walk_begin(&walk, piece->form, piece->panel, &position), *start = piece->panel + position.first;
  plane wide = {0}, narrow = {0};
  for (int64_t k = 0; k < piece->count; k += MOE_STEP) {
    p = walk_on(&walk, piece->first + k, p);
    UNROLL for (int64_t line = 0; line < stored * MOE_PANEL * MOE_STEP / 8; line += 64)
      __builtin_prefetch(piece->ahead + (p - start) + line);
    p = next_words(&narrow, narrow_width, piece->first + k, p);
    p = next_words(&wide, wide_width, piece->first + k, p);
    UNROLL for (int part = 0; part < 2; part++)
      UNROLL for (int v = 0; v < VECTORS; v++)
        put_quad(what, stored, kind, d, &walk.shared, plane_quad(wide_width, narrow_width, wide, narrow, part, v), v,
                 k + 4 * part, out);
  }
}

INLINE void unpack_to(unpacked what, int stored, moe_decoder_kind kind, const moe_coded_piece *piece, uint8_t *out) {
  if (what != ENTRY_BYTES || is_integral(stored, kind)) unpack_as(what, stored, kind, piece, out);
}

/// F(bits, kind) for all that there are.
#define EACH_CODING(F)                                                                                                 \
  F(2, TABLE) F(2, HALVES) F(2, INTEGER) F(3, TABLE) F(3, HALVES) F(3, INTEGER) F(4, TABLE) F(4, HALVES) F(4, INTEGER) \
  F(5, TABLE) F(5, HALVES) F(5, INTEGER) F(6, TABLE) F(6, HALVES) F(6, INTEGER) F(8, TABLE) F(8, INTEGER) F(8, E4M3)   \
  F(8, E5M2)

#define UNPACK(stored, kind)                                                                                           \
  static void unpack_##stored##_##kind(const moe_coded_piece *piece, unpacked what, void *out) {                       \
    switch (what) {                                                                                                    \
    case VALUES: unpack_to(VALUES, stored, MOE_DECODER_##kind, piece, out); break;                                     \
    case ENTRIES: unpack_to(ENTRIES, stored, MOE_DECODER_##kind, piece, out); break;                                   \
    case ENTRY_PAIRS: unpack_to(ENTRY_PAIRS, stored, MOE_DECODER_##kind, piece, out); break;                           \
    case ENTRY_BYTES: unpack_to(ENTRY_BYTES, stored, MOE_DECODER_##kind, piece, out); break;                           \
    }                                                                                                                  \
  }
#define UNPACK_ENTRY(stored, kind) [stored][MOE_DECODER_##kind] = unpack_##stored##_##kind,

EACH_CODING(UNPACK)

static void unpack_what(const moe_coded_piece *piece, unpacked what, void *out) {
  static void (*const bodies[9][MOE_DECODER_COUNT])(const moe_coded_piece *, unpacked, void *) = {
      EACH_CODING(UNPACK_ENTRY)};
  bodies[moe_stored_bits(piece->form->bits)][piece->decoder->kind](piece, what, out);
}

static void unpack(const moe_coded_piece *piece, float *out) { unpack_what(piece, VALUES, out); }

static void unpack_codes(const moe_coded_piece *piece, moe_weights weights, void *out) {
  unpack_what(piece, weights == MOE_WEIGHTS_BYTES ? ENTRY_BYTES : weights == MOE_WEIGHTS_F32 ? ENTRIES : ENTRY_PAIRS, out);
}
