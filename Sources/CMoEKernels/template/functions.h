// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Functions of vectors: exp, σ, tanh, Φ. Relative errors are in the tests (KernelTests/ActivationTests).

/// e^x; 0 and infinity where fp32 ends, NaN for NaN.
INLINE vf exponential(vf x) {
  x = at_least(at_most(x, splat(89.0f)), splat(-104.0f));
  vf shifted = multiply_add(x, splat(1.44269504f), splat(12582912.0f));  // rounds to an integer in the low bits
  vi n = (vi)shifted - 0x4b400000;
  vf count = shifted - splat(12582912.0f);
  vf r = multiply_add(count, splat(-0.693359375f), x);
  r = multiply_add(count, splat(2.12194440e-4f), r);
  vf p = splat(1.9875691500e-4f);
  p = multiply_add(p, r, splat(1.3981999507e-3f));
  p = multiply_add(p, r, splat(8.3334519073e-3f));
  p = multiply_add(p, r, splat(4.1665795894e-2f));
  p = multiply_add(p, r, splat(1.6666665459e-1f));
  p = multiply_add(p, r, splat(5.0000001201e-1f));
  p = multiply_add(p, r * r, r) + splat(1);
  // 2^n in two factors, each a normal number, so that the product may overflow or become subnormal.
  vi half = n >> 1;
  return p * (vf)((half + 127) << 23) * (vf)((n - half + 127) << 23);
}

INLINE vf sigmoid(vf x) { return splat(1) / (splat(1) + exponential(-x)); }

/// Near 0 a series, beyond it 1 - 2/(e^2x + 1).
INLINE vf hyperbolic_tangent(vf x) {
  vf size = from_bits((vu)x & 0x7fffffff);
  vf z = x * x;
  vf p = splat(-5.70498872745e-3f);
  p = multiply_add(p, z, splat(2.06390887954e-2f));
  p = multiply_add(p, z, splat(-5.37397155531e-2f));
  p = multiply_add(p, z, splat(1.33314422036e-1f));
  p = multiply_add(p, z, splat(-3.33332819422e-1f));
  vf near = multiply_add(p * z, x, x);
  vf far = splat(1) - splat(2) / (exponential(size + size) + splat(1));
  far = from_bits((vu)far | ((vu)x & 0x80000000));
  return choose(size < splat(0.625f), near, far);
}

/// ½(1 + erf(x/√2)), through the erfc of Numerical Recipes (relative error 1.2e-7 before rounding).
INLINE vf normal_distribution(vf x) {
  vf z = from_bits((vu)x & 0x7fffffff) * splat(0.707106781f);
  vf t = splat(1) / multiply_add(z, splat(0.5f), splat(1));
  vf p = splat(0.17087277f);
  p = multiply_add(p, t, splat(-0.82215223f));
  p = multiply_add(p, t, splat(1.48851587f));
  p = multiply_add(p, t, splat(-1.13520398f));
  p = multiply_add(p, t, splat(0.27886807f));
  p = multiply_add(p, t, splat(-0.18628806f));
  p = multiply_add(p, t, splat(0.09678418f));
  p = multiply_add(p, t, splat(0.37409196f));
  p = multiply_add(p, t, splat(1.00002368f));
  p = multiply_add(p, t, splat(-1.26551223f));
  vf tail = splat(0.5f) * t * exponential(multiply_add(-z, z, p));
  return choose(x > splat(0), splat(1) - tail, tail);
}
