// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// How weights lie in device memory, by `WEIGHTS`.
#pragma once
#include "common.cuh"

#define BF16 0
#define E4M3_BLOCK 1
#define MXFP4 2
#define NVFP4 3
#define INT4_128 4
#define INT4_32 5
#define E4M3_128 6
#define E4M3_32 7
#define MXFP4_E4M3 8
#ifndef WEIGHTS
#define WEIGHTS BF16
#endif
/// Codes with their scales in tiles: see `codes.cuh`.
#define TILED (WEIGHTS >= MXFP4)
#include "codes.cuh"

/// Whether tokens are e4m3 with a scale for each of them; and the bytes of a value.
constexpr bool tokensHaveFactors = WEIGHTS == MXFP4_E4M3;
constexpr int tokenBytes = WEIGHTS == E4M3_BLOCK || tokensHaveFactors ? 1 : 2;
/// Columns (and rows, in e4m3) of a block that has scales of its own, and columns of a tile; rows of scales are padded to 16
/// bytes.
constexpr int scaleBlock = 128;
__device__ __forceinline__ int scalePitch(int columns) { return (ceilDivide(columns, scaleBlock) + 3) & ~3; }
