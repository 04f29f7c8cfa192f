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

/// A step of a row in every lane, and of split floats what their first halves leave.
typedef struct row_step {
  vu x, rest;
} row_step;

/// A sum of a tile: floats or, of bytes, integers in the same register. That of the rests is apart, so that no dot waits for
/// the other.
typedef struct row_sum {
  vf x, rest;
} row_sum;

INLINE row_sum sum_from(vf start) { return (row_sum){start, splat(0)}; }

INLINE vf whole_sum(moe_weights weights, row_sum sum) {
  return weights == MOE_WEIGHTS_SPLIT ? sum.x + sum.rest : sum.x;
}

INLINE void dot(moe_weights weights, row_sum *sum, vu w, row_step row) {
  switch (weights) {
  case MOE_WEIGHTS_BYTES: sum->x = (vf)dot_bytes((vi)sum->x, w, row.x); break;
#ifdef PAIR_DOT
  case MOE_WEIGHTS_SPLIT: sum->rest = PAIR_DOT(sum->rest, w, row.rest); __attribute__((fallthrough));
  case MOE_WEIGHTS_PAIRS: sum->x = PAIR_DOT(sum->x, w, row.x); break;
#endif
  default: sum->x = multiply_add((vf)row.x, (vf)w, sum->x);
  }
}
