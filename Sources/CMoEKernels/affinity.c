// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define _GNU_SOURCE
#include "affinity.h"

#include <sched.h>
#include <stddef.h>
#include <unistd.h>

#include "moe_cpu.h"

#if defined(__linux__)

// Room for 8192 CPUs, eight times a cpu_set_t; larger machines are treated as if the mask could not be read.
typedef struct mask {
  cpu_set_t sets[8];
} mask;

static void only(int32_t cpu, mask *mask) {
  CPU_ZERO_S(sizeof *mask, mask->sets);
  CPU_SET_S((size_t)cpu, sizeof *mask, mask->sets);
}

int32_t moe_affinity_list(int32_t *cpus, int32_t capacity) {
  mask mask;
  if (sched_getaffinity(0, sizeof mask, mask.sets) != 0) return 0;
  int32_t count = 0;
  for (int32_t cpu = 0; cpu < (int32_t)sizeof mask * 8 && count < capacity; cpu++)
    if (CPU_ISSET_S((size_t)cpu, sizeof mask, mask.sets)) cpus[count++] = cpu;
  return count;
}

int32_t moe_available_cpus(void) {
  mask mask;
  if (sched_getaffinity(0, sizeof mask, mask.sets) != 0) return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
  return CPU_COUNT_S(sizeof mask, mask.sets);
}

void moe_affinity_pin(int32_t cpu) {
  mask mask;
  only(cpu, &mask);
  sched_setaffinity(0, sizeof mask, mask.sets);
}

void moe_affinity_avoid(const int32_t *cpus, int32_t count) {
  int32_t here = sched_getcpu();
  for (int32_t i = 1; i < count; i++) {
    mask mask;
    if (cpus[i] != here || sched_getaffinity(0, sizeof mask, mask.sets) != 0) continue;
    moe_affinity_pin(cpus[0]);
    sched_setaffinity(0, sizeof mask, mask.sets);
    return;
  }
}

#else

int32_t moe_affinity_list(int32_t *cpus, int32_t capacity) { return (void)cpus, (void)capacity, 0; }

int32_t moe_available_cpus(void) { return (int32_t)sysconf(_SC_NPROCESSORS_ONLN); }

void moe_affinity_pin(int32_t cpu) { (void)cpu; }

void moe_affinity_avoid(const int32_t *cpus, int32_t count) { (void)cpus, (void)count; }

#endif

int32_t moe_available_cpu_list(int32_t *cpus, int32_t capacity) { return moe_affinity_list(cpus, capacity); }
