// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "moe_nodes.h"

#include "panel.h"

/// The least that a page is.
enum { PAGE = 4096 };

static moe_share bytes_of(moe_share panels, const moe_matrix_layout *matrix, int64_t offset) {
  return (moe_share){offset + panels.first * matrix->panel_step, offset + panels.end * matrix->panel_step};
}

moe_region_share moe_expert_share(const moe_expert_layout *layout, const moe_pool *pool, int32_t node) {
  // Panels of gate and up lie side by side, those of gate first.
  moe_region_share share = {
      .gate_up = bytes_of(moe_pool_share(pool, node, layout->up.panels), &layout->up, 0),
      .down = bytes_of(moe_pool_share(pool, node, layout->down.panels), &layout->down, layout->down.offset)};
  if (node == moe_pool_nodes(pool) - 1) share.down.end = layout->bytes;
  return share;
}

typedef struct touching {
  moe_pool *pool;
  const moe_expert_layout *layout;
  uint8_t *regions;
  int64_t count;
} touching;

/// Pages that begin in a part of memory.
static void touch(uint8_t *memory, moe_share part) {
  uintptr_t first = (uintptr_t)memory + (uintptr_t)part.first, end = (uintptr_t)memory + (uintptr_t)part.end;
  for (uintptr_t page = (first + PAGE - 1) / PAGE * PAGE; page < end; page += PAGE) *(volatile uint8_t *)page = 0;
}

static void touch_share(void *context, int32_t worker, int32_t threads) {
  (void)threads;
  const touching *t = context;
  moe_place place = moe_pool_place(t->pool, worker);
  moe_region_share share = moe_expert_share(t->layout, t->pool, place.node);
  for (int64_t i = place.index; i < t->count; i += place.workers) {
    touch(t->regions + i * t->layout->bytes, share.gate_up);
    touch(t->regions + i * t->layout->bytes, share.down);
  }
}

void moe_touch_experts(moe_pool *pool, const moe_expert_layout *layout, void *regions, int64_t count) {
  touching touching = {pool, layout, regions, count};
  if (moe_pool_nodes(pool) > 1) moe_pool_run(pool, touch_share, &touching);
}
