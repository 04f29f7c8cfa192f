// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_WORK_H
#define MOE_WORK_H

#include <stdatomic.h>
#include <stdint.h>

/// What is left to one worker, in a cache line of its own: from the unit in the low half to before the one in the high half.
typedef struct moe_queue {
  _Alignas(64) _Atomic uint64_t left;
} moe_queue;

/// Units 0 ..< count shared out evenly. A worker goes through its share in order, so that what lies side by side in memory
/// is read by one; who has done his takes over the back half of the longest share that is left.
typedef struct moe_work {
  moe_queue *queues;
  int32_t workers;
} moe_work;

/// Units first ..< first + count, and the one that the worker will probably take then; -1: not known.
typedef struct moe_units {
  int64_t first, count, following;
} moe_units;

/// `queues` holds one for each worker.
void moe_work_begin(moe_work *work, moe_queue *queues, int64_t count, int32_t workers);

/// The next of a worker's units, at most `most` and seven eighths of what is left to it; none when all are taken.
moe_units moe_work_take(moe_work *work, int32_t worker, int64_t most);

/// The first unit that is left to a worker; -1: none.
int64_t moe_work_first(const moe_work *work, int32_t worker);

#endif
