// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// What the stream's blocks share out, and the ring of stages in shared memory that brings it to them.
#pragma once
#include "activation.cuh"
#include "copy.cuh"
#include "experts.cuh"
#include "weights.cuh"

/// Bytes of a weight row in a stage.
#ifndef CHUNK
#define CHUNK 1024
#endif

/// Warps that share a stage, each with columns of its own. Where codes cost more than bytes, teams of them take stages in turns,
/// so that what a stage costs besides its bytes is hidden, and a scheduler has four warps to choose from.
constexpr int warps = TILED ? 4 : 8, teams = TILED ? 4 : 1;
constexpr int consumers = teams * warps * 32;
/// Warps that copy a stage between them, and teams of those.
constexpr int copyingWarps = TILED ? 1 : 4, copyingTeams = TILED ? 2 : 1;
constexpr int producers = copyingTeams * copyingWarps * 32;
constexpr int maxStages = MOE_HOPPER_STREAM_STAGES;
/// 16 rows: 8 of gate and 8 of up, or 16 of down.
constexpr int stageRows = 16;
#if TILED
constexpr int chunkColumns = CHUNK * 8 / codes::bits, chunkBlocks = chunkColumns / scaleBlock;
/// A stage has the tiles of two groups of 8 rows.
constexpr int weightStageBytes = 2 * chunkBlocks * codes::tileBytes;
constexpr int tokenPitch = chunkColumns * 2 + 16;
constexpr int scaleBytes = 0;
/// Rows that no two blocks share.
constexpr int shareRows = 8;
#else
constexpr int weightBytes = WEIGHTS == BF16 ? 2 : 1;
constexpr int chunkColumns = CHUNK / weightBytes, chunkBlocks = chunkColumns / scaleBlock;
constexpr int warpBytes = CHUNK / warps;
/// Rows that fit a stage whole lie as in memory, and one copy brings all of a group. Pieces of rows have half a bank
/// cycle between them, so that 8 lanes of a load meet 8 different banks.
constexpr int maxWeightPitch = CHUNK + 64;
__device__ __forceinline__ bool whole(int columns) { return columns <= chunkColumns; }
__device__ __forceinline__ int weightPitch(int columns) { return whole(columns) ? columns * weightBytes : maxWeightPitch; }
constexpr int weightStageBytes = stageRows * maxWeightPitch;
constexpr int tokenPitch = chunkColumns * 2 + 64;
constexpr int scaleBytes = WEIGHTS == BF16 ? 0 : 2 * chunkBlocks * 4;
constexpr int shareRows = 1;
#endif

using StreamArguments = moe_hopper_stream_arguments;

/// Groups of rows whose sums may wait for the warp that finishes them.
constexpr int sumSlots = TILED ? 2 : 4;

struct Shared {
  TouchedExperts experts;
  Words sums[sumSlots][teams * warps][32];
  u64 full[maxStages], empty[maxStages], sumsGiven[sumSlots], sumsTaken[sumSlots];
  /// What stands for a token that doesn't go to an expert.
  Words zeros[scaleBlock / 8];
};
static_assert(sizeof(Shared) <= MOE_HOPPER_STREAM_BYTES, "the host leaves room for it");

/// A run of at most 16 rows of one expert (8 pairs) or, for down, of all touched experts.
struct Share {
  int begin, end;
  __device__ Share(int total) : begin(at(total, blockIdx.x)), end(at(total, blockIdx.x + 1)) {}

 private:
  __device__ static int at(int total, u32 block) { return (int)((u32)(total / shareRows) * block / gridDim.x) * shareRows; }
};

/// Rows of the group that begins at `row`: a group doesn't cross `end`, its matrix's last row, or a block of scales.
template <int most> __device__ __forceinline__ int groupRows(int row, int remaining, int rows) {
  int n = smaller(most, smaller(remaining, rows - row));
#if WEIGHTS == E4M3_BLOCK
  n = smaller(n, scaleBlock - row % scaleBlock);
#endif
  return n;
}

/// Calls `group(index, row, n)` for the groups of at most 8 (gate, up) pairs of this block: of a touched expert, from a row on.
template <typename Group>
__device__ __forceinline__ void forEachGroup(const StreamArguments& p, const TouchedExperts& experts, Group group) {
  const Share share(experts.count * p.inner);
  int index = share.begin / p.inner, row = share.begin % p.inner;
  for (int rest = share.end - share.begin; rest > 0;) {
    const int n = groupRows<8>(row, rest, p.inner);
    group(index, row, n);
    rest -= n;
    row += n;
    if (row < p.inner) continue;
    row = 0;
    ++index;
  }
}

/// Which of a row group's stages belong to whom: the stages of all groups, one after the other, go to the teams in turns.
struct Turn {
  int before = 0;
  /// The first of a group's stages that is this one's of so many teams, a power of two.
  __device__ int first(int team, int of) const { return (team - before) & (of - 1); }
};

/// A thread visits every `apart`th stage; where that is not 1, `stages` is a multiple of it, so that a stage is always visited
/// by the same ones.
struct Ring {
  u32 base, full, empty, zeros;
  int stages, stageBytes, stage, apart;
  u32 phase;

  __device__ Ring(u8* memory, Shared& shared, const StreamArguments& p, int first, int apart)
      : base(uniform(sharedAddress(memory))), full(uniform(sharedAddress(shared.full))),
        empty(uniform(sharedAddress(shared.empty))), zeros(uniform(sharedAddress(shared.zeros))), stages(p.stages),
        stageBytes(bytes(p.tokenCount)), stage(first), apart(apart), phase(0) {}
  __device__ static int bytes(int tokens) {
    return (weightStageBytes + tokens * tokenPitch + scaleBytes + 127) & ~127;
  }
  __device__ u32 weights() const { return base + stage * stageBytes; }
  __device__ u32 tokens() const { return weights() + weightStageBytes; }
  __device__ u32 scales(int tokenCount) const { return tokens() + tokenCount * tokenPitch; }
  __device__ void advance() {
    stage += apart;
    if (stage >= stages) {
      stage -= stages;
      phase ^= 1;
    }
  }
};

#if TILED
/// The tiles of 8 rows.
__device__ __forceinline__ int rowGroupBytes(int columns) { return ceilDivide(columns, scaleBlock) * codes::tileBytes; }
#endif
