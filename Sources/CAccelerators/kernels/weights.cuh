// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// How weights lie in device memory, by `WEIGHTS`.
#pragma once
#include "common.cuh"

#define BF16 0
#define E4M3_BLOCK 1
#ifndef WEIGHTS
#define WEIGHTS BF16
#endif

#if WEIGHTS == BF16
constexpr int weightBytes = 2;
#else
constexpr int weightBytes = 1;
/// A scale for each block of `scaleBlock` rows and columns; rows of scales are padded to 16 bytes.
constexpr int scaleBlock = 128;
__device__ __forceinline__ int scalePitch(int columns) { return (ceilDivide(columns, scaleBlock) + 3) & ~3; }
#endif
