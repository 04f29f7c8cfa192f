// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_AFFINITY_H
#define MOE_AFFINITY_H

#include <stdbool.h>
#include <stdint.h>

/// Writes up to `capacity` CPU numbers of the calling thread's mask, ascending; returns how many it wrote (0 off
/// Linux).
int32_t moe_affinity_list(int32_t *cpus, int32_t capacity);

/// Keeps the calling thread on one CPU.
void moe_affinity_pin(int32_t cpu);

/// When the calling thread is on one of cpus[1 ..< count], or with `everywhere` on any but cpus[0], moves it to cpus[0];
/// its mask stays what it was.
void moe_affinity_avoid(const int32_t *cpus, int32_t count, bool everywhere);

#endif
