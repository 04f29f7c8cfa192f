// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The sums of a comparison of two rows of stored weights, of which one is numbers.

// MARK: Pairs of columns

/// Of 2 · LANES columns the even ones and the odd ones: the halves of words come apart within their lanes.
typedef struct vf_pair {
  vf even, odd;
} vf_pair;

/// What the pairs of a run have in common.
typedef struct pair_run {
  const uint8_t *p;
  /// The values of codes of 4 bits.
  float values[16];
  /// Of small floats: the scale, times the power of two that their bits lack as a bf16.
  float scale;
} pair_run;

/// Whether there are pairs of a kind: where they are looked up in registers, or are halves of words.
INLINE bool has_row_pairs(moe_row_kind kind) {
#ifdef PERMUTE
  return kind == MOE_ROW_BF16 || kind == MOE_ROW_TABLE4 || kind == MOE_ROW_INTEGER4 || kind >= MOE_ROW_E4M3;
#else
  return kind == MOE_ROW_BF16;
#endif
}

/// False where this run has no pairs.
INLINE bool begin_pairs(moe_row_kind kind, const run *run, pair_run *pairs) {
  pairs->p = run->p;
  switch (kind) {
  case MOE_ROW_BF16: return true;
  case MOE_ROW_TABLE4:
  case MOE_ROW_INTEGER4:
    for (int i = 0; i < 16; i += LANES)
      store(pairs->values + i, (load(run->decoding.decoder->table + i) - run->zero) * run->scale);
    return true;
  case MOE_ROW_E4M3:
  case MOE_ROW_E5M2:
    // The product with a power of two is exact unless it is too large.
    pairs->scale = run->scale * moe_bits_float(run->decoding.exponent + (127u << 23));
    return isfinite(pairs->scale);
  default: return false;
  }
}

INLINE vf_pair halves_of(vu words) { return (vf_pair){from_bits(words << 16), from_bits(words & 0xffff0000)}; }

/// Columns k ..< k + 2 · LANES of a run; k is even.
INLINE vf_pair row_pair(moe_row_kind kind, const pair_run *run, int64_t k) {
  typedef int8_t vb __attribute__((ext_vector_type(2 * LANES)));
  typedef int16_t vs __attribute__((ext_vector_type(2 * LANES)));
  if (kind == MOE_ROW_BF16) return halves_of(load_bits(run->p + 2 * k));
  if (kind == MOE_ROW_TABLE4 || kind == MOE_ROW_INTEGER4) {
    vu codes = load_bytes(run->p + k / 2);
    return (vf_pair){look_up(true, run->values, codes & 15), look_up(true, run->values, codes >> 4)};
  }
  vb bytes;
  memcpy(&bytes, run->p + k, sizeof bytes);
  vs words = __builtin_convertvector(bytes, vs);
  words = kind == MOE_ROW_E4M3 ? words << 4 & (short)0x87f0 : words << 5 & (short)0x8fe0;
  vf_pair pair = halves_of((vu)words);
  return (vf_pair){pair.even * run->scale, pair.odd * run->scale};
}

// MARK: Sums

/// Sums over every LANES-th column.
typedef struct sums {
  vf a, b, difference;
  /// Of the magnitudes of differences that are numbers.
  vf greatest;
} sums;

/// Sums over neighbours of a row.
typedef struct row_sums {
  sums even, odd;
  double rest[3];
  uint32_t most;
} row_sums;

/// The greater magnitude, lane by lane; of a NaN it may be either.
INLINE vf greater_magnitude(vf greatest, vf x) {
#ifdef GREATER_MAGNITUDE
  return GREATER_MAGNITUDE(greatest, x);
#else
  // Without their sign, floats are in the order of their bits.
  return from_bits(__builtin_elementwise_max((vu)greatest, (vu)x & 0x7fffffff));
#endif
}

INLINE void add_columns(sums *sums, vf x, vf y) {
  vf d = x - y;
  sums->a = multiply_add(x, x, sums->a);
  sums->b = multiply_add(y, y, sums->b);
  sums->difference = multiply_add(d, d, sums->difference);
  sums->greatest = greater_magnitude(sums->greatest, d);
}

INLINE void compare_run(moe_row_kind dense, moe_row_kind kind, const run *numbers, const run *run, int64_t first,
                        int64_t k, int64_t stop, row_sums *all) {
  sums even = all->even, odd = all->odd;
  pair_run a, b;
  if (has_row_pairs(dense) && has_row_pairs(kind) && begin_pairs(dense, numbers, &a) && begin_pairs(kind, run, &b))
    for (; k + 2 * LANES <= stop; k += 2 * LANES) {
      vf_pair x = row_pair(dense, &a, k - first), y = row_pair(kind, &b, k);
      add_columns(&even, x.even, y.even);
      add_columns(&odd, x.odd, y.odd);
    }
  for (; k + LANES <= stop; k += LANES)
    add_columns(&even, run_values(dense, numbers, k - first), run_values(kind, run, k));
  all->even = even, all->odd = odd;
  for (; k < stop; k++) {
    float x = run_value(dense, numbers, k - first), y = run_value(kind, run, k), d = x - y;
    all->rest[0] += (double)x * (double)x, all->rest[1] += (double)y * (double)y;
    all->rest[2] += (double)d * (double)d;
    uint32_t size = moe_float_bits(d) & 0x7fffffff;
    all->most = size > all->most ? size : all->most;
  }
}

/// The sum of all lanes of two vectors.
INLINE double total(vf a, vf b) {
  typedef double vd __attribute__((ext_vector_type(LANES)));
  vd sums = __builtin_convertvector(a, vd) + __builtin_convertvector(b, vd);
  UNROLL for (int half = LANES / 2; half > 0; half /= 2)
      UNROLL for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
  return sums[0];
}

/// `numbers` begin at column `first`.
INLINE void compare_as(moe_row_kind dense, moe_row_kind kind, const void *numbers, const moe_row_decoder *d,
                       int64_t row, int64_t first, int64_t count, int64_t number, moe_row_comparison *sum) {
  struct run other = {.p = numbers};
  row_sums all = {0};
  EACH_RUN(kind, d, row, first, count, compare_run(dense, kind, &other, &run, first, k, stop, &all))
  vu greatest = (vu)greater_magnitude(all.even.greatest, all.odd.greatest);
  UNROLL for (int lane = 0; lane < LANES; lane++) all.most = greatest[lane] > all.most ? greatest[lane] : all.most;
  double differences = all.rest[2] + total(all.even.difference, all.odd.difference);
  if (isnan(differences)) all.most = moe_float_bits(NAN);
  sum->a_squares += all.rest[0] + total(all.even.a, all.odd.a);
  sum->b_squares += all.rest[1] + total(all.even.b, all.odd.b);
  sum->difference_squares += differences;
  if (all.most <= moe_float_bits(sum->greatest)) return;
  sum->greatest = moe_bits_float(all.most);
  sum->greatest_row = number;
}

#define COMPARE_WITH(dense)                                                                                            \
  static void compare_##dense(const void *numbers, const moe_row_decoder *d, int64_t row, int64_t first,               \
                              int64_t count, int64_t number, moe_row_comparison *sum) {                                \
    enum { DENSE = MOE_ROW_##dense };                                                                                  \
    switch (row_kind(d, row, first, count)) { EACH_ROW_KIND(COMPARE_CASE) }                                            \
  }
#define COMPARE_CASE(kind)                                                                                             \
  case MOE_ROW_##kind: compare_as(DENSE, MOE_ROW_##kind, numbers, d, row, first, count, number, sum); return;

COMPARE_WITH(F32)
COMPARE_WITH(F16)
COMPARE_WITH(BF16)
