// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Vectors of LANES floats, for the instruction set that includes this file. Included once per instruction set, so no
// guard; LANES, and FUSED where the instruction set has fused multiply-add and conversions of fp16, are defined by
// who includes.

typedef float vf __attribute__((ext_vector_type(LANES)));
typedef int32_t vi __attribute__((ext_vector_type(LANES)));
typedef uint32_t vu __attribute__((ext_vector_type(LANES)));
typedef uint16_t vh __attribute__((ext_vector_type(LANES)));

INLINE vf splat(float x) { return (vf)(x); }

INLINE vf load(const void *p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE vu load_bits(const void *p) {
  vu v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store(float *p, vf v) { memcpy(p, &v, sizeof v); }

INLINE vf from_bits(vu v) { return (vf)v; }

INLINE vf multiply_add(vf a, vf b, vf c) {
#ifdef FUSED
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c;
#endif
}

INLINE vf choose(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }

// NaN passes through both.
INLINE vf at_most(vf x, vf limit) { return choose(x > limit, limit, x); }
INLINE vf at_least(vf x, vf limit) { return choose(x < limit, limit, x); }

INLINE vf widen_f16(const void *p) {
  vh h;
  memcpy(&h, p, sizeof h);
#ifdef FUSED
  typedef _Float16 vhf __attribute__((ext_vector_type(LANES)));
  return __builtin_convertvector((vhf)h, vf);
#else
  vu w = __builtin_convertvector(h, vu);
  // Exponent and fraction in place, then a power of two moves the bias and normalises subnormals; infinity and NaN
  // keep the top exponent.
  vf magnitude = from_bits((w & 0x7fff) << 13) * splat(0x1p112f);
  vu special = (vu)((w & 0x7c00) == 0x7c00) & 0x7f800000;
  return from_bits((vu)magnitude | special | (w & 0x8000) << 16);
#endif
}

/// Two numbers as bf16 side by side, `low` in the lower half, each to nearest, ties to even; no NaN.
INLINE vu rounded_pair(vf low, vf high) {
  vu a = (vu)low, b = (vu)high;
  a += 0x7fff + (a >> 16 & 1);
  b += 0x7fff + (b >> 16 & 1);
  return a >> 16 | (b & 0xffff0000);
}
