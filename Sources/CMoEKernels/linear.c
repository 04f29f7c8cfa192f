// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "product.h"
#include "work.h"

/// Panels of a unit of work: they share the copy of their rows.
enum { PANELS_OF_UNIT = 4 };

typedef struct pass {
  const moe_linear_arguments *arguments;
  int64_t row_chunks, panels;
  moe_work work;
  uint8_t *scratch;
  int64_t worker_bytes;
} pass;

static const moe_row_form rows = {.dot = MOE_DOT_F32, .precision = MOE_ACTIVATIONS_F32, .segment = MOE_BLOCK, .planes = 1};

static int64_t worker_bytes(const moe_linear_layout *layout) {
  int64_t sums = MOE_PRODUCT_ROWS * PANELS_OF_UNIT * MOE_PANEL * (int64_t)sizeof(float);
  return moe_product_scratch(rows, layout->inputs, false) + sums;
}

int64_t moe_linear_workspace(const moe_linear_layout *layout, int64_t tokens, const moe_pool *pool) {
  (void)tokens;
  return (worker_bytes(layout) + (int64_t)sizeof(moe_queue)) * moe_pool_threads(pool);
}

static const uint8_t *memory(const pass *pass, int64_t unit) {
  const moe_linear_layout *layout = &pass->arguments->layout;
  return (const uint8_t *)pass->arguments->region + unit / pass->row_chunks * pass->panels * layout->panel_bytes;
}

static void run_unit(const pass *pass, moe_units units, uint8_t *scratch) {
  const moe_linear_arguments *l = pass->arguments;
  const moe_linear_layout *layout = &l->layout;
  int64_t chunk = units.first % pass->row_chunks, first_panel = units.first / pass->row_chunks * pass->panels;
  int64_t panels = moe_min(pass->panels, layout->panels - first_panel), stride = panels * MOE_PANEL;
  int64_t first = l->tokens * chunk / pass->row_chunks, end = l->tokens * (chunk + 1) / pass->row_chunks;
  float *sums = (float *)(scratch + moe_product_scratch(rows, layout->inputs, false));
  moe_product_run(&(moe_product){
      .kernels = l->kernels,
      .rows_at = {.form = rows},
      .x = l->x + first * l->x_stride,
      .x_stride = l->x_stride,
      .rows = end - first,
      .inputs = layout->inputs,
      .operands = {{.form = moe_form_dense(layout->element),
                    .base = memory(pass, units.first),
                    .step = layout->panel_bytes,
                    .bytes = layout->panel_bytes}},
      .panel_count = panels,
      .c = sums,
      .c_stride = stride,
      .scratch = scratch,
      .next = memory(pass, moe_max(units.first, units.following)),
  });
  int64_t column = first_panel * MOE_PANEL, columns = moe_min(stride, layout->outputs - column);
  const float *bias = (const float *)((const uint8_t *)l->region + layout->bias_offset) + column;
  for (int64_t r = first; r < end; r++, sums += stride)
    l->kernels->add(sums, layout->has_bias ? bias : NULL, 1, false, l->out + r * l->out_stride + column, columns);
}

static void run_pass(void *context, int32_t worker, int32_t threads) {
  (void)threads;
  pass *pass = context;
  for (moe_units units; (units = moe_work_take(&pass->work, worker, 1)).count > 0;)
    run_unit(pass, units, pass->scratch + pass->worker_bytes * worker);
}

moe_status moe_linear(moe_pool *pool, const moe_linear_arguments *arguments) {
  const moe_linear_layout *layout = &arguments->layout;
  if (arguments->workspace_bytes < moe_linear_workspace(layout, arguments->tokens, pool) ||
      (uintptr_t)arguments->workspace % 64 != 0)
    return MOE_STATUS_BAD_WORKSPACE;
  if (arguments->tokens == 0) return MOE_STATUS_OK;
  int32_t threads = moe_pool_threads(pool);
  pass pass = {.arguments = arguments, .worker_bytes = worker_bytes(layout)};
  // Few panels, as a router has: the rows are cut smaller, so that all workers get some.
  int64_t least = moe_ceil_div(threads * 4, layout->panels);
  pass.row_chunks = moe_max(moe_ceil_div(arguments->tokens, MOE_PRODUCT_ROWS),
                            moe_min(least, moe_ceil_div(arguments->tokens, MOE_TILE_ROWS)));
  pass.panels = moe_max(1, moe_min(PANELS_OF_UNIT, layout->panels * pass.row_chunks / (threads * 8)));
  moe_queue *queues = arguments->workspace;
  pass.scratch = (uint8_t *)(queues + threads);
  moe_work_begin(&pass.work, queues, pass.row_chunks * moe_ceil_div(layout->panels, pass.panels), threads);
  moe_pool_run(pool, run_pass, &pass);
  return MOE_STATUS_OK;
}
