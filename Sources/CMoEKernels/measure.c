// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "product.h"

typedef struct reading {
  const moe_kernels *kernels;
  const uint8_t *buffer;
  int64_t bytes;
  int32_t streams;
  int64_t ahead;
} reading;

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double timed(moe_pool *pool, moe_pool_body body, void *context) {
  double start = seconds();
  moe_pool_run(pool, body, context);
  return seconds() - start;
}

static void read_part(void *context, int32_t worker, int32_t threads) {
  const reading *r = context;
  int64_t part = r->bytes / threads;
  volatile int32_t sink = r->kernels->read(r->buffer + part * worker, part, r->streams, r->ahead);
  (void)sink;
}

// Read one at a time, each about as long as a call that is compared with it, so that a disturbance spoils some of them
// and not all.
enum { READ_PARTS = 4 };

double moe_measure_read(moe_pool *pool, const moe_kernels *kernels, const void *buffer, int64_t bytes) {
  static const int32_t streams[] = {1, 2, 4, 8};
  static const int64_t distances[] = {0, 1024};
  int64_t part = bytes / READ_PARTS;
  double best = 0;
  for (size_t s = 0; s < sizeof streams / sizeof *streams; s++) {
    for (size_t d = 0; d < sizeof distances / sizeof *distances; d++) {
      for (int64_t p = 0; p < READ_PARTS; p++) {
        reading reading = {kernels, (const uint8_t *)buffer + p * part, part, streams[s], distances[d]};
        double rate = (double)part * 1e-9 / timed(pool, read_part, &reading);
        if (rate > best) best = rate;
      }
    }
  }
  return best;
}

/// The dots, or without any of their own fp32 multiply-adds.
static double (*dots_of(const moe_kernels *kernels, moe_dot dot))(int64_t) {
  return kernels->dots[dot] ? kernels->dots[dot] : kernels->dots[MOE_DOT_F32];
}

enum { DOT_ROUNDS = 1000000, PROBE_ROUNDS = 2000, REPETITIONS = 20 };

static void run_dots(void *context, int32_t worker, int32_t threads) {
  (void)worker, (void)threads;
  (*(double (**)(int64_t))context)(DOT_ROUNDS);
}

double moe_measure_dots(moe_pool *pool, const moe_kernels *kernels, const moe_form *form, moe_activations activations) {
  const moe_row_form rows = moe_product_rows(kernels, &form, 1, activations, kernels->most_bytes);
  double (*dots)(int64_t) = dots_of(kernels, rows.dot);
  double operations = dots(1) * (double)DOT_ROUNDS * moe_pool_threads(pool) / rows.planes, best = 0;
  for (int repetition = 0; repetition < REPETITIONS; repetition++) {
    double rate = operations * 1e-9 / timed(pool, run_dots, &dots);
    if (rate > best) best = rate;
  }
  return best;
}

double moe_probe_dots(const moe_kernels *kernels, moe_activations activations) {
  static const moe_dot of[] = {
      [MOE_ACTIVATIONS_F32] = MOE_DOT_F32, [MOE_ACTIVATIONS_BF16] = MOE_DOT_BF16, [MOE_ACTIVATIONS_I8] = MOE_DOT_I8};
  double (*dots)(int64_t) = dots_of(kernels, of[activations]), best = 0;
  for (int repetition = 0; repetition < REPETITIONS; repetition++) {
    double start = seconds(), operations = dots(PROBE_ROUNDS), rate = operations * 1e-9 / (seconds() - start);
    if (rate > best) best = rate;
  }
  return best;
}
