// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define _GNU_SOURCE
#include "moe_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "affinity.h"
#include "moe_cpu.h"
#include "signal.h"

struct moe_pool {
  moe_signal generation;  // one more: a run begins
  moe_signal phase;       // one more: all have arrived
  alignas(64) _Atomic int32_t arrived;
  alignas(64) int32_t threads;
  int32_t started;  // threads to join
  bool pinned, stopping;
  int64_t spin_nanoseconds;
  moe_pool_body body;
  void *context;
  pthread_mutex_t lock;   // one run at a time
  _Atomic int64_t forks;  // when the threads were started
  int32_t *cpus;
  struct worker *workers;
};

struct worker {
  moe_pool *pool;
  int32_t index;
  pthread_t thread;
};

/// How often this process was forked off another one. Threads stay behind.
static _Atomic int64_t forks;
static pthread_mutex_t revival = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void note_fork(void) {
  atomic_fetch_add(&forks, 1);
  pthread_mutex_init(&revival, NULL);
}

static void watch_forks(void) { pthread_atfork(NULL, NULL, note_fork); }

void moe_pool_barrier(moe_pool *pool) {
  if (pool->threads == 1) return;
  uint32_t phase = atomic_load(&pool->phase.value);
  if (atomic_fetch_add(&pool->arrived, 1) + 1 == pool->threads) {
    atomic_store(&pool->arrived, 0);
    moe_signal_raise(&pool->phase);
  } else {
    moe_signal_wait(&pool->phase, phase, pool->spin_nanoseconds);
  }
}

static void *work(void *argument) {
  struct worker *worker = argument;
  moe_pool *pool = worker->pool;
  if (pool->pinned) moe_affinity_pin(pool->cpus[worker->index]);
  for (uint32_t seen = 0;; seen++) {
    moe_signal_wait(&pool->generation, seen, pool->spin_nanoseconds);
    if (pool->stopping) return NULL;
    pool->body(pool->context, worker->index, pool->threads);
    moe_pool_barrier(pool);
  }
}

/// Whether the threads are of this process.
static bool is_current(const moe_pool *pool) { return atomic_load(&pool->forks) == atomic_load(&forks); }

/// Starts the threads that are not there yet; false when the system refuses.
static bool start(moe_pool *pool) {
  for (int32_t i = pool->started + 1; i < pool->threads; i++) {
    struct worker *worker = &pool->workers[i];
    *worker = (struct worker){.pool = pool, .index = i};
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) return false;
    pool->started++;
  }
  return true;
}

/// In a child of a process whose pool this was: starts its threads anew, as if it had never run. Where the system refuses,
/// what is there does the work.
static void revive(moe_pool *pool) {
  pthread_mutex_lock(&revival);
  if (!is_current(pool)) {
    pthread_mutex_init(&pool->lock, NULL);
    pool->generation = pool->phase = (moe_signal){0};
    pool->arrived = pool->started = 0;
    if (!start(pool)) pool->threads = pool->started + 1;
    atomic_store(&pool->forks, forks);
  }
  pthread_mutex_unlock(&revival);
}

moe_pool *moe_pool_create(int32_t threads, const int32_t *cpus, bool pin, int64_t spin_nanoseconds) {
  if (threads < 1) return NULL;
  pthread_once(&once, watch_forks);
  moe_pool *pool = aligned_alloc(64, sizeof(moe_pool));
  if (!pool) return NULL;
  bool crowded = threads > moe_available_cpus();
  *pool = (moe_pool){
      .threads = threads,
      .spin_nanoseconds = crowded ? 0 : spin_nanoseconds,
      .forks = forks,
      .cpus = calloc((size_t)threads, sizeof(int32_t)),
      .workers = calloc((size_t)threads, sizeof(struct worker)),
  };
  pthread_mutex_init(&pool->lock, NULL);
  if (!pool->cpus || !pool->workers) {
    moe_pool_destroy(pool);
    return NULL;
  }
  if (cpus) {
    for (int32_t i = 0; i < threads; i++) pool->cpus[i] = cpus[i];
    pool->pinned = pin && !crowded;
  } else {
    pool->pinned = pin && !crowded && moe_affinity_list(pool->cpus, threads) == threads;
  }
  if (!start(pool)) {
    moe_pool_destroy(pool);
    return NULL;
  }
  return pool;
}

void moe_pool_destroy(moe_pool *pool) {
  pool->stopping = true;
  moe_signal_raise(&pool->generation);
  for (int32_t i = 1; i <= pool->started && is_current(pool); i++) pthread_join(pool->workers[i].thread, NULL);
  pthread_mutex_destroy(&pool->lock);
  free(pool->workers);
  free(pool->cpus);
  free(pool);
}

int32_t moe_pool_threads(const moe_pool *pool) {
  // Who sizes memory by the number runs with that number.
  if (!is_current(pool)) revive((moe_pool *)pool);
  return pool->threads;
}

bool moe_pool_is_pinned(const moe_pool *pool) { return pool->pinned; }

void moe_pool_run(moe_pool *pool, moe_pool_body body, void *context) {
  if (!is_current(pool)) revive(pool);
  pthread_mutex_lock(&pool->lock);
  if (pool->threads > 1) {
    if (pool->pinned) moe_affinity_avoid(pool->cpus, pool->threads);
    pool->body = body;
    pool->context = context;
    moe_signal_raise(&pool->generation);
  }
  body(context, 0, pool->threads);
  moe_pool_barrier(pool);
  pthread_mutex_unlock(&pool->lock);
}
