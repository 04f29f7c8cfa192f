// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_ACCELERATORS_H
#define MOE_ACCELERATORS_H

// What this package uses of libraries that are found at run time, declared by ourselves: one header for each.

#include "moe_cuda.h"
#include "moe_device.h"
#include "moe_hopper.h"
#include "moe_kernel_sources.h"
#include "moe_nvrtc.h"
#include "moe_mpi.h"

#endif
