// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_WORK_H
#define MOE_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/// Units 0 ..< count handed out to workers, first come first served; worker w's first is w.
typedef struct moe_work {
  _Atomic int64_t next;
  int64_t count;
} moe_work;

/// One worker's view: the unit it works on and the one it has taken after that, so that memory of the latter can be
/// fetched early.
typedef struct moe_turn {
  int64_t unit, following;
} moe_turn;

static inline void moe_work_begin(moe_work *work, int64_t count, int32_t threads) {
  atomic_init(&work->next, threads);
  work->count = count;
}

static inline moe_turn moe_work_first(moe_work *work, int32_t worker) {
  return (moe_turn){worker, atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed)};
}

static inline void moe_work_advance(moe_work *work, moe_turn *turn) {
  turn->unit = turn->following;
  turn->following = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
}

#endif
