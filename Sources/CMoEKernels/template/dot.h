// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// One step of a sum: four bytes of a row times four bytes of weights, in every lane.
//
//   BYTE_DOT(sum, w, x)   (or not) unsigned bytes times signed bytes, four to a lane
//   HALF_DOT(w, x)        (or not) signed 16-bit integers, two to a lane, into 32 bits
//   PAIR_DOT(sum, w, x)   (or not) bf16, two to a lane

/// sum + Σ over the four bytes of a lane: unsigned w · signed x.
INLINE vi dot_bytes(vi sum, vu w, vu x) {
#if defined(BYTE_DOT)
  return BYTE_DOT(sum, w, x);
#elif defined(HALF_DOT)
  typedef int16_t vs __attribute__((ext_vector_type(2 * LANES)));
  vi x_even = (vi)((vs)(x << 8) >> 8), x_odd = (vi)((vs)x >> 8);
  return sum + HALF_DOT((vi)(w & 0x00ff00ff), x_even) + HALF_DOT((vi)(w >> 8 & 0x00ff00ff), x_odd);
#else
  UNROLL for (uint32_t byte = 0; byte < 32; byte += 8) sum += (vi)(w >> byte & 0xff) * ((vi)(x << (24 - byte)) >> 24);
  return sum;
#endif
}

/// The sums of a tile are floats or, of bytes, integers in the same registers.
INLINE vf dot(moe_weights weights, vf sum, vu w, vu x) {
  switch (weights) {
  case MOE_WEIGHTS_BYTES: return (vf)dot_bytes((vi)sum, w, x);
#ifdef PAIR_DOT
  case MOE_WEIGHTS_PAIRS: return PAIR_DOT(sum, w, x);
#endif
  default: return multiply_add((vf)x, (vf)w, sum);
  }
}
