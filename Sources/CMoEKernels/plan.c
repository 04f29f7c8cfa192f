// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "plan.h"

#include <string.h>

/// Takes `count` items of `size` bytes from a region, in whole cache lines.
static void *take(uint8_t *memory, int64_t *used, int64_t count, int64_t size) {
  void *part = memory ? memory + *used : NULL;
  *used += moe_round_up(count * size, 64);
  return part;
}

int64_t moe_plan_place(moe_plan *plan, int64_t experts, int64_t slots, uint8_t *memory) {
  int64_t used = 0;
  plan->active = take(memory, &used, experts, sizeof(int32_t));
  plan->first_row = take(memory, &used, experts + 1, sizeof(int64_t));
  plan->slot = take(memory, &used, slots, sizeof(int32_t));
  plan->token = take(memory, &used, slots, sizeof(int32_t));
  plan->row = take(memory, &used, slots, sizeof(int32_t));
  plan->cursor = take(memory, &used, experts, sizeof(int64_t));
  return used;
}

void moe_plan_sort(moe_plan *plan, const int32_t *ids, int64_t experts, int64_t tokens, int32_t top_k) {
  int64_t slots = tokens * top_k;
  memset(plan->cursor, 0, (size_t)experts * sizeof *plan->cursor);
  for (int64_t i = 0; i < slots; i++)
    if (ids[i] >= 0) plan->cursor[ids[i]]++;

  plan->active_count = 0;
  plan->rows = 0;
  for (int64_t e = 0; e < experts; e++) {
    int64_t count = plan->cursor[e];
    if (count == 0) continue;
    plan->active[plan->active_count] = (int32_t)e;
    plan->first_row[plan->active_count++] = plan->rows;
    plan->cursor[e] = plan->rows;
    plan->rows += count;
  }
  plan->first_row[plan->active_count] = plan->rows;

  for (int64_t i = 0; i < slots; i++) {
    plan->row[i] = -1;
    if (ids[i] < 0) continue;
    int64_t row = plan->cursor[ids[i]]++;
    plan->row[i] = (int32_t)row;
    plan->slot[row] = (int32_t)i;
    plan->token[row] = (int32_t)(i / top_k);
  }
}
