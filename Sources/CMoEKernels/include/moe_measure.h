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
/// multiplies weights of this form by activations of this precision: the best of several short runs. Three products of bytes
/// that stand for one of floats count once.
double moe_measure_dots(moe_pool *pool, const moe_kernels *kernels, const moe_form *form, moe_activations activations);

/// Of the calling thread alone, by the dots of this precision, in about a tenth of a millisecond.
double moe_probe_dots(const moe_kernels *kernels, moe_activations activations);

#pragma clang assume_nonnull end

#endif
