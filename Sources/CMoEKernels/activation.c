// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include <math.h>

#include "kernels.h"

moe_activation moe_activation_make(moe_activation_function function) {
  return (moe_activation){.function = function,
                          .alpha = 1,
                          .beta = 0,
                          .limit = INFINITY,
                          .limit_after = INFINITY,
                          .situ_beta = 1,
                          .situ_linear_beta = 0};
}

void moe_activate(const moe_kernels *kernels, const moe_activation *activation, const float *gate, const float *up,
                  float *out, int64_t count) {
  enum { CHUNK = MOE_PANEL };
  int64_t whole = count / CHUNK * CHUNK, rest = count - whole;
  kernels->activate(activation, gate, NULL, up, NULL, 1, out, whole);
  if (rest == 0) return;
  float g[CHUNK] = {0}, u[CHUNK] = {0};
  for (int64_t i = 0; i < rest; i++) {
    if (gate) g[i] = gate[whole + i];
    u[i] = up[whole + i];
  }
  kernels->activate(activation, gate ? g : NULL, NULL, u, NULL, 1, u, CHUNK);
  for (int64_t i = 0; i < rest; i++) out[whole + i] = u[i];
}
