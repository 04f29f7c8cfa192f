// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What happens between up and down, and behind down.

INLINE vf activated(const moe_activation *a, moe_activation_function function, vf g) {
  switch (function) {
  case MOE_ACTIVATION_SILU: return g * sigmoid(g * splat(a->alpha));
  case MOE_ACTIVATION_GELU_ERF: return g * normal_distribution(g);
  // ½(1 + tanh z) = σ(2z)
  case MOE_ACTIVATION_GELU_TANH:
    return g * sigmoid(splat(1.5957691216f) * multiply_add(splat(0.044715f) * g * g, g, g));
  case MOE_ACTIVATION_RELU2: {
    vf positive = at_least(g, splat(0));
    return positive * positive;
  }
  case MOE_ACTIVATION_SITU: return splat(a->situ_beta) * hyperbolic_tangent(g * splat(1 / a->situ_beta)) * sigmoid(g);
  }
}

INLINE vf clamped(vf u, float limit) { return at_least(at_most(u, splat(limit)), splat(-limit)); }

INLINE vf activation_vector(const moe_activation *a, moe_activation_function function, bool gated, vf gate, vf up) {
  float before = isnan(a->limit) ? INFINITY : a->limit, after = isnan(a->limit_after) ? INFINITY : a->limit_after;
  vf f = at_most(activated(a, function, at_most(gate, splat(before))), splat(after));
  if (!gated) return f;
  vf u = clamped(up, before);
  if (function == MOE_ACTIVATION_SITU && a->situ_linear_beta > 0)
    u = splat(a->situ_linear_beta) * hyperbolic_tangent(u * splat(1 / a->situ_linear_beta));
  return f * (clamped(u, after) + splat(a->beta));
}

INLINE vf scaled(const float *x, const float *bias, float scale, int64_t i) {
  vf value = load(x + i) * splat(scale);
  return bias ? value + load(bias + i) : value;
}

INLINE void activate_as(moe_activation_function function, const moe_activation *a, const float *gate,
                        const float *gate_bias, const float *up, const float *up_bias, float scale, float *out,
                        int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) {
    vf u = scaled(up, up_bias, scale, i);
    vf g = gate ? scaled(gate, gate_bias, scale, i) : u;
    store(out + i, activation_vector(a, function, gate != NULL, g, u));
  }
}

/// `count` is a multiple of 32.
static void activate(const moe_activation *a, const float *gate, const float *gate_bias, const float *up,
                     const float *up_bias, float scale, float *out, int64_t count) {
  switch (a->function) {
#define CASE(function)                                                                                                 \
  case function: activate_as(function, a, gate, gate_bias, up, up_bias, scale, out, count); break;
    CASE(MOE_ACTIVATION_SILU)
    CASE(MOE_ACTIVATION_GELU_ERF)
    CASE(MOE_ACTIVATION_GELU_TANH)
    CASE(MOE_ACTIVATION_RELU2)
    CASE(MOE_ACTIVATION_SITU)
#undef CASE
  }
}

/// The last vector of a row may be a part: y and bias are filled to 32, `out` is not.
static void add(const float *y, const float *bias, float weight, bool resume, float *out, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) {
    bool whole = i + LANES <= count;
    vf sum = splat(0), part = load(y + i);
    if (bias) part += load(bias + i);
    if (resume && whole)
      sum = load(out + i);
    else if (resume)
      memcpy(&sum, out + i, (size_t)(count - i) * sizeof(float));
    sum = multiply_add(splat(weight), part, sum);
    memcpy(out + i, &sum, whole ? sizeof sum : (size_t)(count - i) * sizeof(float));
  }
}
