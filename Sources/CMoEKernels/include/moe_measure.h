// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

#ifndef MOE_MEASURE_H
#define MOE_MEASURE_H

#include "moe_forward.h"

#pragma clang assume_nonnull begin

/// GB/s (10⁹ bytes) that the pool reads from `buffer`, each worker its own part: the best over several numbers of
/// streams and prefetch distances. For DRAM pass far more than the last cache, in huge pages. The buffer is read once
/// per combination.
double moe_measure_read(moe_pool *pool, const moe_kernels *kernels, const void *buffer, int64_t bytes);

/// 10⁹ operations per second (a multiply-add counts two) of all workers on independent sums in registers, by what
/// multiplies activations of this precision: the best of several short runs.
double moe_measure_dots(moe_pool *pool, const moe_kernels *kernels, moe_activations activations);

#pragma clang assume_nonnull end

#endif
