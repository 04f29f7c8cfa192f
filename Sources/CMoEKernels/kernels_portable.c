// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#define KERNELS moe_kernels_portable
#define ISA MOE_ISA_PORTABLE
#include "template/portable.h"

#include "template/kernels.h"
