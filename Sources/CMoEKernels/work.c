// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#include "work.h"

#include <stdbool.h>

#include "coded.h"

// A share that is taken over and back again looks as before, and is: its bounds are all there is to it. So a comparison of
// them suffices.

static uint64_t share(int64_t first, int64_t end) { return (uint64_t)first | (uint64_t)end << 32; }

static int64_t first_of(uint64_t left) { return (int64_t)(uint32_t)left; }

static int64_t count_of(uint64_t left) { return (int64_t)(left >> 32) - first_of(left); }

void moe_work_begin(moe_work *work, moe_queue *queues, int64_t count, int32_t workers) {
  *work = (moe_work){queues, workers};
  for (int32_t w = 0; w < workers; w++) atomic_init(&queues[w].left, share(count * w / workers, count * (w + 1) / workers));
}

/// Gives a worker without units some of another's; false when nobody has any.
static bool take_over(moe_work *work, int32_t worker) {
  for (;;) {
    moe_queue *longest = NULL;
    uint64_t most = 0;
    for (int32_t i = 1; i < work->workers; i++) {
      moe_queue *other = &work->queues[(worker + i) % work->workers];
      uint64_t left = atomic_load_explicit(&other->left, memory_order_relaxed);
      if (count_of(left) <= count_of(most)) continue;
      longest = other;
      most = left;
    }
    if (!longest) return false;
    int64_t first = first_of(most), middle = first + count_of(most) / 2, end = first + count_of(most);
    if (!atomic_compare_exchange_strong(&longest->left, &most, share(first, middle))) continue;
    atomic_store(&work->queues[worker].left, share(middle, end));
    return true;
  }
}

moe_units moe_work_take(moe_work *work, int32_t worker, int64_t most) {
  moe_queue *own = &work->queues[worker];
  do {
    uint64_t left = atomic_load_explicit(&own->left, memory_order_relaxed);
    while (count_of(left) > 0) {
      int64_t first = first_of(left), end = first + count_of(left);
      int64_t next = first + moe_max(1, moe_min(most, count_of(left) * 7 / 8));
      if (atomic_compare_exchange_weak(&own->left, &left, share(next, end)))
        return (moe_units){first, next - first, next < end ? next : -1};
    }
  } while (take_over(work, worker));
  return (moe_units){.following = -1};
}

int64_t moe_work_first(const moe_work *work, int32_t worker) {
  uint64_t left = atomic_load_explicit(&work->queues[worker].left, memory_order_relaxed);
  return count_of(left) > 0 ? first_of(left) : -1;
}
