// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Swift's Mutex as ThreadSanitizer can follow it. A lock that is free is taken by an atomic operation in the program; one
// that has to wait is taken in libswiftSynchronization, which is not instrumented, so everything that a contended mutex
// guards would be reported. Preloaded by scripts/check, this takes the place of that wait: it tries again until the lock is
// free. Nobody sleeps, so nobody has to be woken.

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

/// Of ThreadSanitizer, in programs that have it: what was done before the lock was given free is seen from here on.
extern void __tsan_acquire(void *place) __attribute__((weak));

/// _MutexHandle._lockSlow(_ selfId: UInt32)
__attribute__((swiftcall)) void lock_slow(uint32_t id, __attribute__((swift_context)) _Atomic(uint32_t) *owner) __asm__(
    "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

__attribute__((swiftcall)) void lock_slow(uint32_t id, __attribute__((swift_context)) _Atomic(uint32_t) *owner) {
  uint32_t free = 0;
  while (!atomic_compare_exchange_weak_explicit(owner, &free, id, memory_order_acquire, memory_order_relaxed)) {
    free = 0;
    sched_yield();
  }
  if (__tsan_acquire) __tsan_acquire((void *)owner);
}
