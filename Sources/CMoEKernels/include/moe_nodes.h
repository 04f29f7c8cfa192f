// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_NODES_H
#define MOE_NODES_H

#include "moe_layout.h"
#include "moe_pool.h"

#pragma clang assume_nonnull begin

/// The bytes of an expert's region that the workers of one node read: some panels of gate and up, and some of down. What
/// follows the panels, and is small, goes with the last node's.
typedef struct moe_region_share {
  moe_share gate_up, down;
} moe_region_share;

moe_region_share moe_expert_share(const moe_expert_layout *layout, const moe_pool *pool, int32_t node);

/// Writes a byte of every page of `count` new regions, one after the other from `regions` on, each by a worker of the node
/// that will read it: an operating system places a page near to who writes to it first. Pages that two nodes share go
/// to one of them. Does nothing for a pool on one node.
void moe_touch_experts(moe_pool *pool, const moe_expert_layout *layout, void *regions, int64_t count);

#pragma clang assume_nonnull end

#endif
