// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The way of a block through its share of the weights, first of gate and up, then of down. All of its warps go it, each for its own
// purpose.
#pragma once
#include "stream_ring.cuh"

/// Rows that no two blocks share: a box of weights, or a tile's.
constexpr int shareRows = 8;

/// Groups of rows: of gate and up 8 pairs of one expert, of down 8 or 16 rows of all touched experts.
struct Walk {
  const StreamArguments& p;
  bool isDown;
  int columns, chunks;
  /// Of a group: its stages, and its rows from `row` on; of gate and up those of touched expert `index`.
  int stages, row, rows, index = 0;

  __device__ Walk(const StreamArguments& p, const TouchedExperts& experts, bool isDown)
      : p(p), isDown(isDown), columns(isDown ? p.inner : p.hidden), chunks(ceilDivide(columns, chunkColumns)),
        stages(isDown ? experts.count * chunks : chunks) {
    const int total = isDown ? p.hidden : experts.count * p.inner;
    row = share(total, blockIdx.x);
    rest = share(total, blockIdx.x + 1) - row;
    if (!isDown) {
      index = row / p.inner;
      row -= index * p.inner;
    }
    rows = groupRows();
  }
  __device__ bool goesOn() const { return rest > 0; }
  __device__ void nextGroup() {
    rest -= rows;
    row += rows;
    if (!isDown && row == p.inner) {
      row = 0;
      ++index;
    }
    rows = groupRows();
  }
  /// Of a stage's 16 rows (of gate and up 8 each), those from this one on have the second row of scales.
  __device__ int scaleBreak() const { return isDown ? scaleBlock - row % scaleBlock : shareRows; }

 private:
  int rest;
  __device__ static int share(int total, u32 block) { return (int)((u32)(total / shareRows) * block / gridDim.x) * shareRows; }
  __device__ int groupRows() const { return isDown ? smaller(stageRows, rest) : shareRows; }
};

/// Which of a group's stages belong to whom: the stages of all groups, one after the other, go to the teams in turns.
struct Turn {
  int before = 0;
  /// The first of a group's stages that is this one's of so many teams, a power of two.
  __device__ int first(int team, int of) const { return (team - before) & (of - 1); }
};

/// Calls `stage(walk, index, chunk)` for the stages of one product that are `team`'s of so many, in order, and `end(walk, has)`
/// after each group, of whose stages it had some or not. A group of down has all chunks of one touched expert after the other.
template <typename Stage, typename End>
__device__ __forceinline__ void forEachStage(Walk walk, Turn& turn, int team, int of, Stage stage, End end) {
#pragma unroll 1
  for (; walk.goesOn(); walk.nextGroup()) {
    const int first = turn.first(team, of);
    int index = walk.index, chunk = first;
#pragma unroll 1
    for (int i = first; i < walk.stages; i += of, chunk += of) {
      for (; chunk >= walk.chunks; chunk -= walk.chunks) ++index;
      stage(walk, index, chunk);
    }
    turn.before += walk.stages;
    end(walk, first < walk.stages);
  }
}
template <typename Stage>
__device__ __forceinline__ void forEachStage(Walk walk, Turn& turn, int team, int of, Stage stage) {
  forEachStage(walk, turn, team, of, stage, [](const Walk&, bool) {});
}
