// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef EMULATED_TILES_H
#define EMULATED_TILES_H

#include "CMoEKernels.h"

#pragma clang assume_nonnull begin

/// The kernels of AMX, the same source, with its instructions in plain C: on any CPU, bit by bit what they are said to
/// compute (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS and TDPBSUD).
const moe_kernels *moe_emulated_amx(void);

/// The portable kernels, which round rows as AMX wants them.
const moe_kernels *moe_portable_for_amx(void);

#pragma clang assume_nonnull end

#endif
