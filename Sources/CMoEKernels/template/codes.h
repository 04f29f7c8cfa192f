// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes of a panel to what is multiplied: in registers, eight or more inputs of LANES outputs.

enum { VECTORS = MOE_PANEL / LANES };

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
  const moe_decoder *decoder;
  uint32_t flip, exponent;
  int32_t offset;
} decoding;

INLINE decoding decoding_of(const moe_decoder *d) {
  return (decoding){d, (uint32_t)d->flip, d->exponent, d->offset};
}

/// Codes of inputs 4 · quad ..< 4 · quad + 4 of a step, each in a byte; with `junk` bits above a code of one plane may be any.
INLINE vu step_quad(int stored, bool junk, const uint8_t *words, int quad, int v) {
  int wide = stored & 8 ? 8 : stored & 4 ? 4 : 2, narrow = stored - wide, parts = 8 / wide;
  const uint8_t *p = words + (narrow ? MOE_WORDS_BYTES : 0) + quad / parts * MOE_WORDS_BYTES + v * LANES * 4;
  vu code = load_bits(p) >> (uint32_t)(quad % parts * wide);
  if (narrow == 0) return junk || wide == 8 ? code : code & (0x01010101u * ((1u << wide) - 1));
  vu high = load_bits(words + v * LANES * 4) >> (uint32_t)(quad * narrow);
  return (code & (0x01010101u * ((1u << wide) - 1))) | (high & (0x01010101u * ((1u << narrow) - 1))) << (uint32_t)wide;
}

// MARK: Values

INLINE vf coded_value(int stored, moe_decoder_kind kind, decoding d, vu quad, uint32_t byte) {
  vu code = quad >> (8 * byte) & ((1u << stored) - 1);
  switch (kind) {
  case MOE_DECODER_TABLE:
  case MOE_DECODER_HALVES: return look_up(stored <= 4, d.decoder->table, code);
  case MOE_DECODER_INTEGER: return __builtin_convertvector((vi)(code ^ d.flip) - d.offset, vf);
  case MOE_DECODER_E4M3: return small_float(code, 3, d.exponent);
  case MOE_DECODER_E5M2: return small_float(code, 2, d.exponent);
  }
}

/// Whether `quad_pairs` knows codes of a kind.
INLINE bool has_pairs(int stored, moe_decoder_kind kind) {
#if defined(PERMUTE_HALVES) && defined(PERMUTE_BYTES)
  if (stored == 8) return kind == MOE_DECODER_E4M3 || kind == MOE_DECODER_E5M2;
#endif
#if defined(PERMUTE_HALVES)
  return stored <= 6 && (kind == MOE_DECODER_HALVES || kind == MOE_DECODER_INTEGER);
#else
  (void)stored, (void)kind;
  return false;
#endif
}

/// Entries of four codes as bf16: two lookups for two pairs, whatever the table.
INLINE void quad_pairs(int stored, decoding d, vu quad, bool natural, vu *pairs) {
#if defined(PERMUTE_HALVES) && defined(PERMUTE_BYTES)
  if (stored == 8) {
    vu order = PAIRS_FIRST(quad);
    vu upper = PERMUTE_BYTES(d.decoder->upper, order) | (order & 0x80808080);
    vu lower = PERMUTE_BYTES(d.decoder->lower, order);
    pairs[0] = INTERLEAVE_LOW(lower, upper);
    pairs[1] = INTERLEAVE_HIGH(lower, upper);
    return;
  }
#endif
#if defined(PERMUTE_HALVES)
  vu even = PERMUTE_HALVES(stored == 6, d.decoder->halves, quad);
  vu odd = PERMUTE_HALVES(stored == 6, d.decoder->halves, quad >> 8);
  pairs[0] = natural ? (even & 0xffff) | odd << 16 : even;
  pairs[1] = natural ? even >> 16 | (odd & 0xffff0000) : odd;
#else
  (void)stored, (void)d, (void)quad, (void)natural, (void)pairs;
#endif
}

/// Entries of four codes, the first input first.
INLINE void quad_values(int stored, moe_decoder_kind kind, decoding d, vu quad, vf *out) {
  if (!has_pairs(stored, kind)) {
    UNROLL for (uint32_t byte = 0; byte < 4; byte++) out[byte] = coded_value(stored, kind, d, quad, byte);
    return;
  }
  vu pairs[2];
  quad_pairs(stored, d, quad, false, pairs);
  int next = stored == 8 ? 1 : 2;  // what lies beside the first input
  out[0] = from_bits(pairs[0] << 16);
  out[next] = from_bits(pairs[0] & 0xffff0000);
  out[3 - next] = from_bits(pairs[1] << 16);
  out[3] = from_bits(pairs[1] & 0xffff0000);
}

/// Four codes as unsigned bytes; see `moe_decoder`.
INLINE vu quad_bytes(int stored, moe_decoder_kind kind, decoding d, vu quad) {
  if (kind == MOE_DECODER_INTEGER) return quad ^ d.flip * 0x01010101u;
#ifdef SHUFFLE_BYTES
  if (stored <= 4) return SHUFFLE_BYTES(d.decoder->bytes, quad);
#endif
  typedef uint8_t vb __attribute__((ext_vector_type(4 * LANES)));
  (void)stored;
  vb bytes = (vb)quad;
  UNROLL for (int i = 0; i < 4 * LANES; i++) bytes[i] = d.decoder->bytes[bytes[i] & 15];
  return (vu)bytes;
}

INLINE bool is_integral(int stored, moe_decoder_kind kind) {
  return kind == MOE_DECODER_INTEGER || ((kind == MOE_DECODER_TABLE || kind == MOE_DECODER_HALVES) && stored <= 4);
}
