// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include <string.h>

#include "plan.h"
#include "work.h"

/// Rows (token, slot) that one pass of both phases takes, which bounds the workspace; more tokens go in several passes.
enum { ROWS_OF_PASS = 8192 };

/// Panels of a unit of work, at most (pairs of gate and up in phase A): they share the copy of their rows. Phase B takes more
/// at a time while the sums of all rows are no more bytes than this, as it reads so many in a row of each expert.
enum { PANELS_OF_UNIT = 4, SUMS_OF_OUTPUTS = 128 << 10 };

/// What the workers of one node do: their panels of every expert.
typedef struct node {
  moe_work a, b;
  moe_share up, down;
  /// Units of A for each chunk of rows.
  int64_t units;
} node;

typedef struct pass {
  const moe_forward_arguments *arguments;
  moe_pool *pool;
  moe_plan plan;
  int64_t first_token, tokens;
  /// Panels of a unit: A goes over gate and up, B over down; and the most units that B takes at a time.
  int64_t panels_a, panels_b, units_b;
  node *nodes;
  /// Of both phases, for each worker.
  moe_queue *queues;
  /// Chunks of rows before each active expert.
  int64_t *first_chunk;
  /// The rows of both phases, each expert's on their own: what goes into gate and up (where x does not as it is), what
  /// comes out of the activation, and what goes into down.
  moe_row_form form_a, form_middle, form_b;
  uint8_t *rows_a, *middle, *rows_b;
  uint8_t *scratch;
  int64_t scratch_bytes;
} pass;

// MARK: Sizes

static int64_t tokens_of_pass(int64_t tokens, int32_t top_k) {
  return moe_min(tokens, moe_max(1, ROWS_OF_PASS / moe_max(1, top_k)));
}

static bool has_codes(const moe_expert_layout *layout) {
  return moe_is_coded(&layout->gate.form) || moe_is_coded(&layout->up.form) || moe_is_coded(&layout->down.form);
}

static void choose_rows(pass *pass, const moe_kernels *kernels, const moe_expert_layout *layout,
                        moe_activations precision) {
  const moe_form *first[] = {&layout->up.form, &layout->gate.form}, *second[] = {&layout->down.form};
  pass->form_a = moe_product_rows(kernels, first, layout->shape.gated ? 2 : 1, precision, kernels->most_bytes);
  pass->form_b = moe_product_rows(kernels, second, 1, precision, MOE_BYTES);
  pass->form_middle = pass->form_b;
  if (moe_are_prepared(&pass->form_b))
    pass->form_middle = (moe_row_form){.precision = MOE_ACTIVATIONS_F32, .segment = MOE_BLOCK, .planes = 1};
}

/// The most panels of down that go over all rows of a pass at once.
static int64_t output_panels(int64_t rows) {
  return moe_max(PANELS_OF_UNIT, SUMS_OF_OUTPUTS / (moe_max(1, rows) * MOE_PANEL * (int64_t)sizeof(float)));
}

static int64_t product_bytes(const pass *pass, const moe_expert_layout *layout) {
  bool coded = has_codes(layout);
  return moe_max(moe_product_scratch(pass->form_a, layout->shape.hidden, coded),
                 moe_product_scratch(pass->form_b, layout->shape.intermediate, coded));
}

/// One worker's scratch: that of products, then their sums (A: gate and up of a unit; B: all rows of the pass).
static int64_t worker_bytes(const pass *pass, const moe_expert_layout *layout, int64_t rows) {
  int64_t a = moe_product_most_rows(pass->form_a) * 2 * PANELS_OF_UNIT * MOE_PANEL;
  int64_t b = rows * output_panels(rows) * MOE_PANEL;
  return moe_round_up(product_bytes(pass, layout) + moe_max(a, b) * (int64_t)sizeof(float), 64);
}

/// Takes `bytes` bytes from a region, in whole cache lines.
static uint8_t *take(uint8_t *memory, int64_t *used, int64_t bytes) {
  uint8_t *part = memory ? memory + *used : NULL;
  *used += moe_round_up(bytes, 64);
  return part;
}

static int64_t place(pass *pass, const moe_expert_layout *layout, int64_t experts, int64_t slots, int32_t threads,
                     uint8_t *memory) {
  int64_t used = moe_plan_place(&pass->plan, experts, slots, memory);
  int64_t hidden = layout->shape.hidden, intermediate = layout->shape.intermediate;
  pass->scratch_bytes = worker_bytes(pass, layout, slots);
  pass->queues = (moe_queue *)take(memory, &used, 2 * threads * (int64_t)sizeof(moe_queue));
  pass->first_chunk = (int64_t *)take(memory, &used, (experts + 1) * (int64_t)sizeof(int64_t));
  // Matrices read some rows more than there are.
  int64_t rows = slots + MOE_SPARE_ROWS;
  pass->rows_a = take(memory, &used, moe_are_prepared(&pass->form_a) ? rows * moe_rows_bytes(pass->form_a, hidden, 1) : 0);
  pass->middle = take(memory, &used, slots * moe_rows_bytes(pass->form_middle, intermediate, 1));
  pass->rows_b = pass->middle;
  if (moe_are_prepared(&pass->form_b))
    pass->rows_b = take(memory, &used, rows * moe_rows_bytes(pass->form_b, intermediate, 1));
  pass->scratch = take(memory, &used, pass->scratch_bytes * threads);
  return used;
}

int64_t moe_forward_workspace(const moe_kernels *kernels, const moe_expert_layout *layout, moe_activations activations,
                              int32_t expert_count, int64_t tokens, int32_t top_k, const moe_pool *pool) {
  pass pass;
  choose_rows(&pass, kernels, layout, activations);
  return place(&pass, layout, expert_count, tokens_of_pass(tokens, top_k) * top_k, moe_pool_threads(pool), NULL);
}

// MARK: Rows

static int64_t expert_rows(const pass *pass, int64_t i) {
  return pass->plan.first_row[i + 1] - pass->plan.first_row[i];
}

/// The rows of an active expert in memory that holds those of all.
static moe_rows rows_of(const pass *pass, int64_t i, moe_row_form form, int64_t inputs, uint8_t *memory) {
  moe_rows rows;
  moe_rows_place(&rows, form, inputs, expert_rows(pass, i),
                 memory + pass->plan.first_row[i] * moe_rows_bytes(form, inputs, 1));
  return rows;
}

static moe_rows middle_of(const pass *pass, int64_t i) {
  return rows_of(pass, i, pass->form_middle, pass->arguments->layout.shape.intermediate, pass->middle);
}

static moe_rows rows_a_of(const pass *pass, int64_t i) {
  if (!moe_are_prepared(&pass->form_a)) return (moe_rows){.form = pass->form_a};
  return rows_of(pass, i, pass->form_a, pass->arguments->layout.shape.hidden, pass->rows_a);
}

static moe_rows rows_b_of(const pass *pass, int64_t i) {
  return rows_of(pass, i, pass->form_b, pass->arguments->layout.shape.intermediate, pass->rows_b);
}

/// Calls `body` for every row and block of all experts, shared out among the workers.
static void each_block(const pass *pass, int64_t inputs, int32_t worker, int32_t threads,
                       void (*body)(const struct pass *, int64_t expert, int64_t row, int64_t first, int64_t count)) {
  int64_t turn = 0;
  for (int64_t i = 0; i < pass->plan.active_count; i++)
    for (int64_t r = 0; r < expert_rows(pass, i); r++)
      for (int64_t k = 0; k < inputs; k += MOE_BLOCK)
        if (turn++ % threads == worker) body(pass, i, r, k, moe_min(MOE_BLOCK, inputs - k));
}

static void prepare_input(const pass *pass, int64_t i, int64_t r, int64_t first, int64_t count) {
  const moe_forward_arguments *f = pass->arguments;
  moe_rows rows = rows_a_of(pass, i);
  int64_t token = pass->first_token + pass->plan.token[pass->plan.first_row[i] + r];
  f->kernels->prepare(&rows, r, first, count, f->x + token * f->x_stride + first);
}

static void prepare_middle(const pass *pass, int64_t i, int64_t r, int64_t first, int64_t count) {
  moe_rows from = middle_of(pass, i), to = rows_b_of(pass, i);
  const float *x = (const float *)(moe_rows_data(&from, first) + r * moe_row_stride(MOE_DOT_F32));
  pass->arguments->kernels->prepare(&to, r, first, count, x);
}

// MARK: Phase A: intermediate = act(gate · x, up · x)

static int64_t chunks(moe_row_form form, int64_t rows) { return moe_ceil_div(rows, moe_product_most_rows(form)); }

static const uint8_t *region(const pass *pass, int64_t i) { return pass->arguments->experts[pass->plan.active[i]]; }

/// Panels from `panel` on of a projection of an active expert.
static moe_operand operand(const pass *pass, int64_t i, const moe_matrix_layout *matrix, int64_t panel) {
  const uint8_t *base = region(pass, i);
  return (moe_operand){.form = matrix->form,
                       .decoder = (const moe_decoder *)(base + matrix->decoder_offset),
                       .base = base + matrix->offset + panel * matrix->panel_step,
                       .step = matrix->panel_step,
                       .bytes = matrix->panel_bytes};
}

/// A unit of A: an active expert, some of a node's panels, a chunk of its rows.
typedef struct unit {
  int64_t expert, first_panel, panels, first_row, rows;
} unit;

static unit unit_at(const pass *pass, const node *node, int64_t index) {
  int64_t low = 0, high = pass->plan.active_count;  // first_chunk[low] <= index / units < first_chunk[high]
  while (high - low > 1) {
    int64_t middle = (low + high) / 2;
    if (pass->first_chunk[middle] * node->units <= index)
      low = middle;
    else
      high = middle;
  }
  int64_t rows = expert_rows(pass, low), of = chunks(pass->form_a, rows), local = index - pass->first_chunk[low] * node->units;
  int64_t panel = node->up.first + local / of * pass->panels_a, chunk = local % of;
  int64_t first = rows * chunk / of, end = rows * (chunk + 1) / of;
  return (unit){low, panel, moe_min(pass->panels_a, node->up.end - panel), first, end - first};
}

static const uint8_t *unit_memory(const pass *pass, unit u) {
  return region(pass, u.expert) + u.first_panel * pass->arguments->layout.up.panel_step;
}

static void activate(const pass *pass, unit u, const float *sums, int64_t stride) {
  const moe_forward_arguments *f = pass->arguments;
  const moe_expert_layout *layout = &f->layout;
  bool gated = layout->shape.gated, biased = layout->shape.has_bias;
  int64_t first_row = pass->plan.first_row[u.expert];
  moe_rows out = middle_of(pass, u.expert);
  const float *gate_bias = (const float *)(region(pass, u.expert) + layout->gate.bias_offset);
  const float *up_bias = (const float *)(region(pass, u.expert) + layout->up.bias_offset);
  for (int64_t r = u.first_row; r < u.first_row + u.rows; r++, sums += stride) {
    const float *sum = sums;
    int32_t slot = pass->plan.slot[first_row + r];
    float scale = f->weight_on_input ? f->weights[pass->first_token * f->top_k + slot] : 1;
    for (int64_t panel = u.first_panel; panel < u.first_panel + u.panels; panel++) {
      int64_t n = panel * MOE_PANEL;
      const float *gate = gated ? sum : NULL, *up = gated ? sum + MOE_PANEL : sum;
      f->kernels->activate(&f->activation, gate, biased ? gate_bias + n : NULL, up, biased ? up_bias + n : NULL, scale,
                           (float *)(moe_rows_data(&out, n) + r * moe_row_stride(MOE_DOT_F32)), MOE_PANEL);
      sum = up + MOE_PANEL;
    }
  }
}

static void run_unit(const pass *pass, unit u, const uint8_t *next, uint8_t *scratch) {
  const moe_forward_arguments *f = pass->arguments;
  const moe_expert_layout *layout = &f->layout;
  moe_operand gate = operand(pass, u.expert, &layout->gate, u.first_panel);
  moe_operand up = operand(pass, u.expert, &layout->up, u.first_panel);
  bool gated = layout->shape.gated;
  int64_t panels = gated ? 2 * u.panels : u.panels, stride = panels * MOE_PANEL;
  float *sums = (float *)(scratch + product_bytes(pass, layout));
  moe_product_run(&(moe_product){
      .kernels = f->kernels,
      .rows_at = moe_rows_from(rows_a_of(pass, u.expert), u.first_row * pass->form_a.planes),
      .x = f->x + pass->first_token * f->x_stride,
      .x_stride = f->x_stride,
      .token = pass->plan.token + pass->plan.first_row[u.expert] + u.first_row,
      .rows = u.rows,
      .inputs = layout->shape.hidden,
      .operands = {gated ? gate : up, up},
      .paired = gated,
      .panel_count = panels,
      .c = sums,
      .c_stride = stride,
      .scratch = scratch,
      .next = next,
  });
  activate(pass, u, sums, stride);
}

// MARK: Phase B: out = Σ weight · (down · intermediate + bias)

static const uint8_t *down_memory(const pass *pass, const node *node, int64_t i, int64_t unit) {
  const moe_matrix_layout *down = &pass->arguments->layout.down;
  return region(pass, i) + down->offset + (node->down.first + unit * pass->panels_b) * down->panel_step;
}

/// `columns` columns of the rows of slots, before their weights.
static void put(const pass *pass, int64_t column, int64_t columns, const float *sums, int64_t stride) {
  const moe_forward_arguments *f = pass->arguments;
  const moe_matrix_layout *down = &f->layout.down;
  for (int64_t slot = 0; slot < pass->tokens * f->top_k; slot++) {
    if (pass->plan.row[slot] < 0) continue;
    int64_t place = pass->first_token * f->top_k + slot;
    const uint8_t *expert = f->experts[f->ids[place]];
    const float *sum = sums + pass->plan.row[slot] * stride;
    float *out = f->out + f->row_of_slot[place] * f->out_stride + column;
    memcpy(out, sum, (size_t)columns * sizeof(float));
    if (!f->layout.shape.has_bias) continue;
    const float *bias = (const float *)(expert + down->bias_offset) + column;
    for (int64_t i = 0; i < columns; i++) out[i] += bias[i];
  }
}

/// Adds the rows of each token in slot order into `columns` columns of out.
static void combine(const pass *pass, int64_t column, int64_t columns, const float *sums, int64_t stride) {
  const moe_forward_arguments *f = pass->arguments;
  const moe_expert_layout *layout = &f->layout;
  int64_t bias_offset = layout->down.bias_offset + column * (int64_t)sizeof(float);
  for (int64_t t = 0; t < pass->tokens; t++) {
    float *out = f->out + (pass->first_token + t) * f->out_stride + column;
    const int64_t first = (pass->first_token + t) * f->top_k;
    bool resume = false;
    for (int32_t j = 0; j < f->top_k; j++) {
      int32_t row = pass->plan.row[t * f->top_k + j];
      if (row < 0) continue;
      const uint8_t *expert = f->experts[f->ids[first + j]];
      const float *bias = layout->shape.has_bias ? (const float *)(expert + bias_offset) : NULL;
      f->kernels->add(sums + row * stride, bias, f->weight_on_input ? 1 : f->weights[first + j], resume, out, columns);
      resume = true;
    }
    if (!resume) memset(out, 0, (size_t)columns * sizeof(float));
  }
}

static void run_output(const pass *pass, const node *node, moe_units units, uint8_t *scratch) {
  const moe_forward_arguments *f = pass->arguments;
  const moe_expert_layout *layout = &f->layout;
  int64_t first_panel = node->down.first + units.first * pass->panels_b;
  int64_t panels = moe_min(units.count * pass->panels_b, node->down.end - first_panel);
  int64_t stride = panels * MOE_PANEL;
  float *sums = (float *)(scratch + product_bytes(pass, layout));
  for (int64_t i = 0; i < pass->plan.active_count; i++) {
    int64_t rows = expert_rows(pass, i), first = pass->plan.first_row[i];
    const uint8_t *here = down_memory(pass, node, i, units.first), *next = here;
    if (i + 1 < pass->plan.active_count)
      next = down_memory(pass, node, i + 1, units.first);
    else if (units.following >= 0)
      next = down_memory(pass, node, 0, units.following);
    for (int64_t chunk = 0, of = chunks(pass->form_b, rows); chunk < of; chunk++) {
      int64_t start = rows * chunk / of, end = rows * (chunk + 1) / of;
      moe_product_run(&(moe_product){
          .kernels = f->kernels,
          .rows_at = moe_rows_from(rows_b_of(pass, i), start * pass->form_b.planes),
          .rows = end - start,
          .inputs = layout->shape.intermediate,
          .operands = {operand(pass, i, &layout->down, first_panel)},
          .panel_count = panels,
          .c = sums + (first + start) * stride,
          .c_stride = stride,
          .scratch = scratch,
          .next = chunk + 1 < of ? here : next,
      });
    }
  }
  int64_t column = first_panel * MOE_PANEL;
  (f->row_of_slot ? put : combine)(pass, column, moe_min(stride, layout->shape.hidden - column), sums, stride);
}

// MARK: Both phases

static void run_pass(void *context, int32_t worker, int32_t threads) {
  pass *pass = context;
  const moe_expert_shape *shape = &pass->arguments->layout.shape;
  uint8_t *scratch = pass->scratch + pass->scratch_bytes * worker;
  if (moe_are_prepared(&pass->form_a)) {
    each_block(pass, shape->hidden, worker, threads, prepare_input);
    moe_pool_barrier(pass->pool);
  }
  moe_place place = moe_pool_place(pass->pool, worker);
  node *node = &pass->nodes[place.node];
  int64_t first_output = moe_work_first(&node->b, place.index);
  const uint8_t *then = first_output >= 0 && pass->plan.active_count > 0 ? down_memory(pass, node, 0, first_output) : scratch;
  for (moe_units units; (units = moe_work_take(&node->a, place.index, 1)).count > 0;)
    run_unit(pass, unit_at(pass, node, units.first),
             units.following >= 0 ? unit_memory(pass, unit_at(pass, node, units.following)) : then, scratch);
  moe_pool_barrier(pass->pool);
  if (moe_are_prepared(&pass->form_b) || pass->form_b.has_sums) {
    each_block(pass, shape->intermediate, worker, threads, prepare_middle);
    moe_pool_barrier(pass->pool);
  }
  for (moe_units units; (units = moe_work_take(&node->b, place.index, pass->units_b)).count > 0;)
    run_output(pass, node, units, scratch);
}

/// Units small enough that all workers end at about the same time, large enough to share the copies of rows.
static void divide(pass *pass) {
  const moe_expert_layout *layout = &pass->arguments->layout;
  int32_t threads = moe_pool_threads(pass->pool);
  int64_t all = 0;
  for (int64_t i = 0; i < pass->plan.active_count; i++) {
    pass->first_chunk[i] = all;
    all += chunks(pass->form_a, expert_rows(pass, i));
  }
  pass->panels_a = moe_max(1, moe_min(PANELS_OF_UNIT, all * layout->up.panels / (threads * 16)));
  // Two panels, while each worker gets that many.
  pass->panels_b = moe_min(2, moe_ceil_div(layout->down.panels, threads));
  pass->units_b = output_panels(pass->plan.rows) / pass->panels_b;
  moe_queue *queues = pass->queues;
  for (int32_t i = 0; i < moe_pool_nodes(pass->pool); i++) {
    node *node = &pass->nodes[i];
    moe_share workers = moe_pool_share(pass->pool, i, threads);
    int32_t count = (int32_t)(workers.end - workers.first);
    node->up = moe_pool_share(pass->pool, i, layout->up.panels);
    node->down = moe_pool_share(pass->pool, i, layout->down.panels);
    node->units = moe_ceil_div(node->up.end - node->up.first, pass->panels_a);
    moe_work_begin(&node->a, queues, node->units * all, count);
    moe_work_begin(&node->b, queues + count, moe_ceil_div(node->down.end - node->down.first, pass->panels_b), count);
    queues += 2 * count;
  }
}

static bool ids_are_valid(const moe_forward_arguments *f) {
  for (int64_t i = 0; i < f->tokens * f->top_k; i++)
    if (f->ids[i] < -1 || f->ids[i] >= f->expert_count || (f->ids[i] >= 0 && !f->experts[f->ids[i]])) return false;
  return true;
}

moe_status moe_forward(moe_pool *pool, const moe_forward_arguments *arguments) {
  const moe_forward_arguments *f = arguments;
  if (!ids_are_valid(f)) return MOE_STATUS_BAD_ID;
  int64_t step = tokens_of_pass(f->tokens, f->top_k);
  node nodes[MOE_POOL_NODES];
  pass pass = {.arguments = f, .pool = pool, .nodes = nodes};
  choose_rows(&pass, f->kernels, &f->layout, f->activations);
  int64_t needed = place(&pass, &f->layout, f->expert_count, step * f->top_k, moe_pool_threads(pool), f->workspace);
  if (f->workspace_bytes < needed || (uintptr_t)f->workspace % 64 != 0) return MOE_STATUS_BAD_WORKSPACE;
  for (int64_t first = 0; first < f->tokens; first += step) {
    pass.first_token = first;
    pass.tokens = moe_min(step, f->tokens - first);
    moe_plan_sort(&pass.plan, f->ids + first * f->top_k, f->expert_count, pass.tokens, f->top_k);
    divide(&pass);
    moe_pool_run(pool, run_pass, &pass);
  }
  return MOE_STATUS_OK;
}
