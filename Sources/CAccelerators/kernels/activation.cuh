// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Between the two products: f(gate) · (up + β), or f(up) without a gate. `ACTIVATION` names f, `GATED` says whether
// there is a gate; the rest are arguments. The order of the steps is that of `Activation` in Swift.
#pragma once
#include "common.cuh"
#include "moe_hopper.h"

#define SILU 0
#define GELU 1
#define GELU_TANH 2
#define RELU2 3
#define SITU 4
#ifndef ACTIVATION
#define ACTIVATION SILU
#endif
#ifndef GATED
#define GATED 1
#endif

using ActivationArguments = moe_hopper_activation;

__device__ __forceinline__ float exponential(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x * 1.4426950408889634f));
  return y;
}
__device__ __forceinline__ float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// tanh through the exponential: the hardware's own has 11 bits.
__device__ __forceinline__ float hyperbolicTangent(float x) { return 1.f - 2.f * reciprocal(1.f + exponential(2.f * x)); }

__device__ __forceinline__ float activated(float x, const ActivationArguments& p) {
#if ACTIVATION == SILU
  return x * reciprocal(1.f + exponential(-p.alpha * x));
#elif ACTIVATION == GELU
  return 0.5f * x * (1.f + erff(x * 0.70710678118654752f));
#elif ACTIVATION == GELU_TANH
  return 0.5f * x * (1.f + hyperbolicTangent(0.79788456080286536f * (x + 0.044715f * x * x * x)));
#elif ACTIVATION == RELU2
  const float r = fmaxf(x, 0.f);
  return r * r;
#else
  return p.slope * hyperbolicTangent(x / p.slope) * reciprocal(1.f + exponential(-x));
#endif
}

__device__ __forceinline__ float activate(float gate, float up, const ActivationArguments& p) {
  const float f = fminf(activated(fminf(GATED ? gate : up, p.limit), p), p.limitAfter);
#if GATED
#if ACTIVATION == SITU
  up = fmaxf(-p.limit, fminf(up, p.limit));
  if (p.squash > 0.f) up = p.squash * hyperbolicTangent(up / p.squash);
  const float most = p.limitAfter;
#else
  // A minimum takes the time of two sums.
  const float most = fminf(p.limit, p.limitAfter);
#endif
  return f * (fmaxf(-most, fminf(up, most)) + p.beta);
#else
  return f;
#endif
}
