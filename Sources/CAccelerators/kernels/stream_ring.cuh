// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The ring of stages in shared memory that brings the stream's warps what they multiply.
#pragma once
#include "activation.cuh"
#include "copy.cuh"
#include "experts.cuh"
#include "weights.cuh"

/// Bytes of a weight row in a stage.
#ifndef CHUNK
#define CHUNK 1024
#endif

constexpr bool tokensAreNarrow = tokenBytes == 1, weightsHaveScales = tokensAreNarrow && !TILED;
__device__ __forceinline__ int blockCount(int columns) { return ceilDivide(columns, scaleBlock); }

/// Warps that share a stage, each with columns of its own, and teams of them that take stages in turns, so that what a stage costs
/// besides its bytes is hidden.
constexpr int warps = 4, teams = TILED ? 4 : 2, consumers = teams * warps * 32;
/// Warps that copy, a stage each in turns.
constexpr int copyingWarps = 2, producers = copyingWarps * 32;
/// Warps that turn a stage's tokens into e4m3 between them, and teams of them that take stages in turns.
constexpr int quantizingWarps = 2, quantizingTeams = tokensAreNarrow ? 2 : 0, quantizers = quantizingTeams * quantizingWarps * 32;
constexpr int maxStages = MOE_HOPPER_STREAM_STAGES;
/// 16 rows: 8 of gate and 8 of up, or 16 of down.
constexpr int stageRows = 16;
#if TILED
using codes::tileBytes;
constexpr int chunkColumns = CHUNK * 8 / codes::bits, chunkBlocks = chunkColumns / scaleBlock;
/// A stage has the tiles of two groups of 8 rows.
constexpr int weightStageBytes = 2 * chunkBlocks * codes::tileBytes;
#else
constexpr int tileBytes = 0;
constexpr int weightBytes = WEIGHTS == BF16 ? 2 : 1;
constexpr int chunkColumns = CHUNK / weightBytes, chunkBlocks = chunkColumns / scaleBlock;
constexpr int weightStageBytes = stageRows * CHUNK;
#endif
/// Rows are so far from each other that 8 lanes of a load meet 8 different banks: 4 have neighbouring chunks of 16 bytes of a row,
/// or all one of 8 rows.
constexpr int tokenPitch = chunkColumns * 2 + (TILED && WEIGHTS != MXFP4_E4M3 ? 16 : 64);
/// Blocks of a stage's columns that have scales of their own; of a row that has one scale those are the same.
constexpr int scaleBlocks = tokensHaveFactors ? 1 : chunkBlocks;
/// Scales of gate's rows and of up's, or of the first of down's and of the last, or 8 rows' and 8 rows'; then of all tokens block by
/// block; then, where rows have one scale, the greatest magnitude of each token.
constexpr int tokenScaleBytes = maxTokens * 4;
constexpr int weightScaleBytes = !weightsHaveScales ? 0 : tokensHaveFactors ? 8 * 4 : chunkBlocks * 4;
constexpr int greatestBytes = tokensHaveFactors ? tokenScaleBytes : 0;
constexpr int scaleBytes = 2 * weightScaleBytes + (tokensAreNarrow ? scaleBlocks * tokenScaleBytes : 0) + greatestBytes;
/// From a block of a quantised token to the next.
constexpr int codePitch = scaleBlock * 2;
/// Where the first block's scale of a token is.
__device__ __forceinline__ u32 tokenScales(u32 scales, int token) { return scales + 2 * weightScaleBytes + token * 4; }

/// Stages whose weights a copying warp has under way at most: 36 KB, as whatever else is read or written waits behind them.
constexpr int underWay = weightStageBytes > 36864 / 2 ? 1 : 36864 / weightStageBytes;
/// Stages of down that it begins before the block has told what came out of gate and up: few where the ring has no room for all.
constexpr int ahead = WEIGHTS == BF16 ? 0 : TILED ? maxStages : 2;

using StreamArguments = moe_hopper_stream_arguments;

/// Groups of rows whose sums may wait for the warp that finishes them.
constexpr int sumSlots = 2;

/// Barriers of a stage: its weights are there, with their scales; its tokens are; those have been quantised; nobody needs it.
enum StageBarrier { full, fed, quantized, empty, stageBarriers };

struct Shared {
  TouchedExperts experts;
  Words sums[sumSlots][teams * warps][32];
  u64 stages[stageBarriers][maxStages], sumsGiven[sumSlots], sumsTaken[sumSlots];
  /// This block's gate and up have been told to the grid.
  u64 arrived;
  /// By token, where rows have one scale: the greatest magnitude as the bits of a float.
  u32 greatest[maxTokens];
  /// What stands for a token that doesn't go to an expert.
  Words zeros[TILED && !tokensAreNarrow ? scaleBlock / 8 : 1];
};
static_assert(sizeof(Shared) <= MOE_HOPPER_STREAM_BYTES, "the host leaves room for it");

/// A thread visits every `apart`th stage; where that is not 1, `stages` is a multiple of it, so that a stage is always visited
/// by the same ones.
struct Ring {
  u32 base, barriers, arrived, zeros;
  int stages, stageBytes, stage, apart;
  u32 phase;

  __device__ Ring(u8* memory, Shared& shared, const StreamArguments& p, int first, int apart)
      : base(uniform(sharedAddress(memory))), barriers(uniform(sharedAddress(shared.stages))),
        arrived(uniform(sharedAddress(&shared.arrived))), zeros(uniform(sharedAddress(shared.zeros))), stages(p.stages),
        stageBytes(bytes(p.tokenCount)), stage(first), apart(apart), phase(0) {}
  __device__ static int bytes(int tokens) {
    return (weightStageBytes + tokens * tokenPitch + scaleBytes + 127) & ~127;
  }
  __device__ u32 barrier(StageBarrier which, int stage) const { return barriers + (which * maxStages + stage) * 8; }
  __device__ u32 barrier(StageBarrier which) const { return barrier(which, stage); }
  __device__ u32 weights() const { return base + stage * stageBytes; }
  __device__ u32 tokens(int stage) const { return base + stage * stageBytes + weightStageBytes; }
  __device__ u32 tokens() const { return tokens(stage); }
  __device__ u32 scales(int stage, int tokenCount) const { return tokens(stage) + tokenCount * tokenPitch; }
  __device__ u32 scales(int tokenCount) const { return scales(stage, tokenCount); }
  /// Of down's stages: the greatest magnitude of each token's row.
  __device__ u32 greatest(int stage, int tokenCount) const {
    return scales(stage, tokenCount) + scaleBytes - greatestBytes;
  }
  /// Which of a stage's blocks of columns are this warp's: turned from stage to stage, so that what a short row lacks is lacking to
  /// all schedulers.
  __device__ int member() const { return uniform((threadIdx.x / 32 + 2 * (stage + stage / teams)) % warps); }
  /// Waits until at most so many of its stages are without their weights.
  __device__ void waitForAllBut(int pending) const {
    const int place = stage - smaller((pending + 1) * apart, stages);
    ::barrier::wait(barrier(full, place < 0 ? place + stages : place), place < 0 ? phase ^ 1 : phase);
  }
  __device__ void advance() {
    stage += apart;
    if (stage >= stages) {
      stage -= stages;
      phase ^= 1;
    }
  }
};
