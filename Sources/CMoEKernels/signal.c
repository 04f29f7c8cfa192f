// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define _GNU_SOURCE
#include "signal.h"

#include <sched.h>
#include <stdbool.h>
#include <time.h>

#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

static void sleep_while(moe_signal *signal, uint32_t old) {
#if defined(__linux__)
  syscall(SYS_futex, &signal->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
#else
  (void)signal, (void)old;
  sched_yield();
#endif
}

static void wake(moe_signal *signal) {
#if defined(__linux__)
  syscall(SYS_futex, &signal->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
  (void)signal;
#endif
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool changed(moe_signal *signal, uint32_t old) {
  return atomic_load_explicit(&signal->value, memory_order_acquire) != old;
}

void moe_signal_wait(moe_signal *signal, uint32_t old, int64_t spin_nanoseconds) {
  if (spin_nanoseconds > 0) {
    int64_t end = nanoseconds() + spin_nanoseconds;
    do {
      for (int i = 0; i < 32; i++) {
        if (changed(signal, old)) return;
        pause_briefly();
      }
    } while (nanoseconds() < end);
  }
  // The sequentially consistent pair (count a sleeper, read the value) against (write the value, read the sleepers) of
  // `moe_signal_raise` leaves no order in which the value changes and nobody wakes us.
  atomic_fetch_add(&signal->sleepers, 1);
  while (atomic_load(&signal->value) == old) sleep_while(signal, old);
  atomic_fetch_sub(&signal->sleepers, 1);
}

void moe_signal_raise(moe_signal *signal) {
  atomic_fetch_add(&signal->value, 1);
  if (atomic_load(&signal->sleepers) > 0) wake(signal);
}
