// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_POOL_H
#define MOE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// A fork-join pool: `threads` workers, of which the caller of `moe_pool_run` is number 0.
///
/// Workers spin for a bounded time after each run and at each barrier, then sleep on a futex. With more threads than
/// CPUs nothing spins and nothing is pinned. A pool of one thread runs everything inline. In a child of fork the threads
/// are started anew by the first run; no run may be in progress when a process forks.
typedef struct moe_pool moe_pool;

/// What a pool runs: `worker` is in 0 ..< `threads`.
typedef void (*moe_pool_body)(void *_Nullable context, int32_t worker, int32_t threads);

/// Starts `threads - 1` threads.
///
/// - `cpus`: `threads` CPU numbers, or null for the calling thread's affinity mask in ascending order.
/// - `pin`: worker i stays on cpus[i]. The caller is never left pinned: a run that finds it on another worker's CPU
///   moves it to cpus[0] by narrowing its mask and restoring it at once.
/// - `spin_nanoseconds`: how long a worker waits awake, 0 for never; 50'000 is a good value.
///
/// Null when `threads` is below 1 or the system refuses memory or threads.
moe_pool *_Nullable moe_pool_create(int32_t threads, const int32_t *_Nullable cpus, bool pin, int64_t spin_nanoseconds);

/// Ends the threads. No run may be in progress.
void moe_pool_destroy(moe_pool *pool);

int32_t moe_pool_threads(const moe_pool *pool);

/// False when the pool was created without pinning or holds more threads than there are CPUs.
bool moe_pool_is_pinned(const moe_pool *pool);

/// Runs `body` once per worker and returns when all have returned. Safe from several threads: runs follow each other.
/// Must not be called from inside a body.
void moe_pool_run(moe_pool *pool, moe_pool_body body, void *_Nullable context);

/// Inside a body: returns when all workers of this run have arrived. All must call it equally often.
void moe_pool_barrier(moe_pool *pool);

#pragma clang assume_nonnull end

#endif
