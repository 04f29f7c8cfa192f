// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_SIGNAL_H
#define MOE_SIGNAL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

/// A counter that threads wait on: awake for a while, then asleep.
typedef struct moe_signal {
  alignas(64) _Atomic uint32_t value;
  _Atomic uint32_t sleepers;
} moe_signal;

/// Returns when the value is no longer `old`.
void moe_signal_wait(moe_signal *signal, uint32_t old, int64_t spin_nanoseconds);

/// Adds 1 and wakes all who sleep.
void moe_signal_raise(moe_signal *signal);

#endif
