// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What the ceilings are measured with.

INLINE int32_t read_streams(const uint8_t *bytes, int64_t count, int32_t streams, int64_t ahead) {
  enum { STEP = 256 };
  vu sum[4] = {0};
  int64_t part = count / streams / STEP * STEP;
  for (int64_t i = 0; i < part; i += STEP) {
    for (int32_t s = 0; s < streams; s++) {
      const uint8_t *p = bytes + s * part + i;
      for (int64_t line = 0; ahead && line < STEP; line += 64) __builtin_prefetch(p + ahead + line);
      for (int64_t offset = 0; offset < STEP; offset += 4 * (int64_t)sizeof(vu))
        UNROLL for (int64_t v = 0; v < 4; v++) sum[v] += load_bits(p + offset + v * (int64_t)sizeof(vu));
    }
  }
  vu total = sum[0] + sum[1] + sum[2] + sum[3];
  return (int32_t)total[0];
}

static int32_t read_bytes(const uint8_t *bytes, int64_t count, int32_t streams, int64_t ahead) {
  switch (streams) {
  case 1: return read_streams(bytes, count, 1, ahead);
  case 2: return read_streams(bytes, count, 2, ahead);
  case 4: return read_streams(bytes, count, 4, ahead);
  default: return read_streams(bytes, count, 8, ahead);
  }
}

INLINE double dots(moe_weights weights, int64_t rounds) {
  enum { CHAINS = 12 };
  row_sum sum[CHAINS];
  UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = sum_from(splat(0));
  vu x = (vu)splat(1), w = (vu)splat(0.5f);
  for (int64_t round = 0; round < rounds; round++) {
    UNROLL for (int i = 0; i < CHAINS; i++) {
      // What is the same each time would be computed once.
      KEEP(w);
      dot(weights, &sum[i], w, (row_step){x, x});
      KEEP(sum[i].x);
      KEEP(sum[i].rest);
    }
  }
  return (double)(rounds * CHAINS * LANES * 2 * inputs_of_step(weights));
}

static double dots_f32(int64_t rounds) { return dots(MOE_WEIGHTS_F32, rounds); }
#ifndef TILE_LOAD
static double dots_bytes(int64_t rounds) { return dots(MOE_WEIGHTS_BYTES, rounds); }
#endif
#ifdef PAIR_DOT
static double dots_pairs(int64_t rounds) { return dots(MOE_WEIGHTS_PAIRS, rounds); }
static double dots_split(int64_t rounds) { return dots(MOE_WEIGHTS_SPLIT, rounds); }
#endif
