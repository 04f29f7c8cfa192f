// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include <string.h>

#include "moe_forward.h"
#include "panel.h"
#include "kernels.h"

/// Adds `columns` columns of a row; the kernels read whole panels.
static void add_row(const moe_kernels *kernels, const float *row, float weight, bool resume, float *out,
                    int64_t columns) {
  int64_t whole = columns / MOE_PANEL * MOE_PANEL, rest = columns - whole;
  kernels->add(row, NULL, weight, resume, out, whole);
  if (rest == 0) return;
  float last[MOE_PANEL] = {0};
  memcpy(last, row + whole, (size_t)rest * sizeof(float));
  kernels->add(last, NULL, weight, resume, out + whole, rest);
}

static void combine_tokens(void *context, int32_t worker, int32_t threads) {
  const moe_combine_arguments *c = context;
  for (int64_t t = c->tokens * worker / threads; t < c->tokens * (worker + 1) / threads; t++) {
    float *out = c->out + t * c->hidden;
    bool resume = false;
    for (int64_t slot = t * c->top_k; slot < (t + 1) * c->top_k; slot++) {
      if (c->ids[slot] < 0) continue;
      add_row(c->kernels, c->rows + c->row_of_slot[slot] * c->hidden, c->weights ? c->weights[slot] : 1, resume, out,
              c->hidden);
      resume = true;
    }
    if (!resume) memset(out, 0, (size_t)c->hidden * sizeof(float));
  }
}

void moe_combine(moe_pool *pool, const moe_combine_arguments *arguments) {
  moe_pool_run(pool, combine_tokens, (void *)arguments);
}
