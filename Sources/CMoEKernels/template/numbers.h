// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What the outputs of a group share: scales, zeros or minimums, and the factors above them.

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
  case MOE_NUMBER_E4M3FN: {
    // Exponent and fraction in place, then a power of two moves the bias and normalises subnormals.
    vu code = load_bytes(p);
    return from_bits((code & 0x7f) << 20 | (code & 0x80) << 24) * splat(0x1p120f);
  }
  case MOE_NUMBER_U8: return __builtin_convertvector((vi)load_bytes(p), vf);
  case MOE_NUMBER_I8: return __builtin_convertvector((vi)(load_bytes(p) << 24) >> 24, vf);
  }
}

/// 32 numbers, times `factor` where there is one; returns where the next ones are.
static const uint8_t *take_vector(moe_number number, const uint8_t *p, const vf *factor, vf *out) {
  for (int v = 0; v < MOE_PANEL / LANES; v++) {
    vf x = number_vector(number, p + v * LANES * moe_number_bytes(number));
    out[v] = factor ? x * factor[v] : x;
  }
  return p + MOE_PANEL * moe_number_bytes(number);
}

/// What holds for 32 outputs and the inputs of a group: value = (table[code] - zero) · scale - minimum. Taking 0 away
/// changes no bit, so one formula serves all corrections.
typedef struct shared {
  vf factor[MOE_PANEL / LANES], minimum_factor[MOE_PANEL / LANES];
  vf scale[MOE_PANEL / LANES], zero[MOE_PANEL / LANES], minimum[MOE_PANEL / LANES];
} shared;

static const uint8_t *take_super_group(const moe_form *form, const uint8_t *p, shared *s) {
  p = take_vector(form->factor, p, NULL, s->factor);
  if (form->correction != MOE_CORRECTION_MINIMUM) return p;
  return take_vector(form->factor, p, NULL, s->minimum_factor);
}

static const uint8_t *take_group(const moe_form *form, const uint8_t *p, shared *s) {
  bool factors = form->super_group != 0;
  p = take_vector(form->scale, p, factors ? s->factor : NULL, s->scale);
  switch (form->correction) {
  case MOE_CORRECTION_NONE: return p;
  case MOE_CORRECTION_ZERO: return take_vector(form->correction_number, p, NULL, s->zero);
  case MOE_CORRECTION_MINIMUM:
    return take_vector(form->correction_number, p, factors ? s->minimum_factor : NULL, s->minimum);
  }
}

/// Walks a panel from group to group.
typedef struct group_walk {
  const moe_form *form;
  int64_t next_group, next_super;
  shared shared;
} group_walk;

/// Returns where the words of input k begin.
static const uint8_t *walk_begin(group_walk *walk, const moe_form *form, const uint8_t *panel,
                                 const moe_position *position) {
  *walk = (group_walk){.form = form,
                       .next_group = position->group_start + moe_group(form),
                       .next_super = position->super_start + moe_super_group(form)};
  if (form->super_group) take_super_group(form, panel + position->factors, &walk->shared);
  take_group(form, panel + position->numbers, &walk->shared);
  return panel + position->words;
}

/// At input k: reads what stands before its words, if anything does.
INLINE const uint8_t *walk_on(group_walk *walk, int64_t k, const uint8_t *p) {
  if (k != walk->next_group) return p;
  if (k == walk->next_super) {
    p = take_super_group(walk->form, p, &walk->shared);
    walk->next_super += moe_super_group(walk->form);
  }
  walk->next_group += moe_group(walk->form);
  return take_group(walk->form, p, &walk->shared);
}

// MARK: For tiles

/// The 32 numbers of each segment that are `after` bytes behind the group's first, times those of its super-group.
INLINE void convert_as(moe_number number, bool scaled, const uint8_t *panel, const moe_segments *segments, int64_t after, float (*factors)[MOE_PANEL], float (*out)[MOE_PANEL]) {
  for (int64_t i = 0; i < segments->count; i++)
    UNROLL for (int v = 0; v < MOE_PANEL / LANES; v++) {
      vf x = number_vector(number, panel + segments->numbers[i] + after + v * LANES * moe_number_bytes(number));
      if (scaled) x *= load(factors[segments->super_group[i]] + v * LANES);
      store(out[i] + v * LANES, x);
    }
}

static void convert(moe_number number, const uint8_t *panel, const moe_segments *segments, int64_t after,
                    float (*factors)[MOE_PANEL], float (*out)[MOE_PANEL]) {
  switch (number) {
#define CASE(number)                                                                                                   \
  case number:                                                                                                         \
    if (factors)                                                                                                       \
      convert_as(number, true, panel, segments, after, factors, out);                               \
    else                                                                                                               \
      convert_as(number, false, panel, segments, after, factors, out);                              \
    break;
    CASE(MOE_NUMBER_F32)
    CASE(MOE_NUMBER_F16)
    CASE(MOE_NUMBER_BF16)
    CASE(MOE_NUMBER_E8M0)
    CASE(MOE_NUMBER_E4M3FN)
    CASE(MOE_NUMBER_U8)
    CASE(MOE_NUMBER_I8)
#undef CASE
  }
}

/// Factors of the super-groups of a piece; ones where there are none.
INLINE void take_factors(const moe_form *form, const uint8_t *panel, const moe_segments *segments, int64_t after,
                         float unit, float (*out)[MOE_PANEL]) {
  for (int64_t i = 0; i < segments->super_count; i++)
    for (int v = 0; v < MOE_PANEL / LANES; v++) {
      const uint8_t *p = panel + segments->factors[i] + after + v * LANES * moe_number_bytes(form->factor);
      store(out[i] + v * LANES, form->super_group ? number_vector(form->factor, p) * splat(unit) : splat(unit));
    }
}

static void take_numbers(const moe_form *form, const moe_decoder *decoder, const uint8_t *panel,
                         const moe_segments *segments, bool bytes, moe_numbers *out) {
  float factors[MOE_SEGMENTS][MOE_PANEL], unit = bytes ? decoder->unit : 1;
  bool factored = form->super_group != 0, scaled = factored || unit != 1;
  if (scaled) take_factors(form, panel, segments, 0, unit, factors);
  convert(form->scale, panel, segments, 0, scaled ? factors : NULL, out->scale);
  int64_t after = MOE_PANEL * moe_number_bytes(form->scale);
  switch (form->correction) {
  case MOE_CORRECTION_NONE: return;
  case MOE_CORRECTION_ZERO:
    convert(form->correction_number, panel, segments, after, NULL, out->minimum);
    for (int64_t i = 0; i < segments->count; i++)
      UNROLL for (int v = 0; v < MOE_PANEL; v += LANES)
        store(out->minimum[i] + v, load(out->minimum[i] + v) * (load(out->scale[i] + v) * splat(1 / unit)));
    return;
  case MOE_CORRECTION_MINIMUM:
    if (factored) take_factors(form, panel, segments, MOE_PANEL * moe_number_bytes(form->factor), 1, factors);
    convert(form->correction_number, panel, segments, after, factored ? factors : NULL, out->minimum);
  }
}
