// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// How weights lie in device memory, by `WEIGHTS`.
#pragma once
#include "fp4.cuh"

#define BF16 0
#define E4M3_BLOCK 1
#define MXFP4 2
#ifndef WEIGHTS
#define WEIGHTS BF16
#endif

/// Bytes of a token's value.
constexpr int tokenBytes = WEIGHTS == E4M3_BLOCK ? 1 : 2;
/// Columns (and rows, in e4m3) of a block that has scales of its own; rows of scales are padded to 16 bytes.
constexpr int scaleBlock = 128;
__device__ __forceinline__ int scalePitch(int columns) { return (ceilDivide(columns, scaleBlock) + 3) & ~3; }
