// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef CMOEKERNELS_H
#define CMOEKERNELS_H

// The CPU kernels of routed experts: activations in fp32, bf16 or bytes.
//
//   moe_cpu.h          what this CPU can do; the table of kernels of one instruction set
//   moe_pool.h         the worker pool that every forward runs on
//   moe_form.h         how weights are kept: dense, or as codes with scales
//   moe_layout.h       how one expert, or one linear layer, lies in memory
//   moe_pack.h         checkpoint tensors into that layout, and back
//   moe_stored_rows.h  rows of checkpoint tensors as fp32, and their differences from others
//   moe_forward.h      routed experts, linear layers, activations
//   moe_measure.h      the ceilings of this machine, in the same process
//
// Sizes are int64_t, nothing is global and mutable, and no function keeps a pointer after it returns (the pool keeps
// itself).

#include "moe_cpu.h"
#include "moe_form.h"
#include "moe_forward.h"
#include "moe_layout.h"
#include "moe_measure.h"
#include "moe_pack.h"
#include "moe_pool.h"
#include "moe_stored_rows.h"

#endif
