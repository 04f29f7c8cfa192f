// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The copying warps of the stream: gate and up of this block's share, then down of its rows.
#pragma once
#include "stream_ring.cuh"

/// One stage's sources, thread by thread: 0–15 copy weight rows, 16–23 tokens, 24 and 25 scales. A warp issues its
/// copies one after the other, so neighbours are in different warps.
struct Producer {
  const StreamArguments& p;
  Ring& ring;
  u64 policy;
  int thread, team;
  Turn turn = {};

  /// This thread copies `run` rows (perhaps none) from `weights`; `rows` is the sum of all runs.
  __device__ void copyWeights(
    const u8* weights, int run, const float* scales, int chunk, int columns, int rows, u32 mask) {
    const int count = smaller(chunkColumns, columns - chunk * chunkColumns);
#if TILED
    const u32 rowsBytes = ceilDivide(count, scaleBlock) * codes::tileBytes, allBytes = (rows >> 3) * rowsBytes;
    const u32 runBytes = rowsBytes, offset = (thread >> 3) * (weightStageBytes / 2);
    weights += chunk * (chunkBlocks * codes::tileBytes);
#else
    const u32 allBytes = rows * count * weightBytes, runBytes = run * count * weightBytes, offset = thread * weightPitch(columns);
    weights += chunk * CHUNK;
#endif
    const u32 barrier = ring.full + ring.stage * 8;
    barrier::wait(ring.empty + ring.stage * 8, ring.phase ^ 1);
    u32 scaleCount = 0;
#if WEIGHTS == E4M3_BLOCK
    scaleCount = (ceilDivide(count, scaleBlock) + 3) & ~3;
#endif
    // Each warp's first thread arrives, also of a warp that has nothing to copy: none may fall behind by a round, which the
    // barrier's parity wouldn't tell.
    if (thread == 0)
      barrier::arriveExpecting(barrier, allBytes + __popc(mask) * count * 2 + scaleCount * 8);
    else if (thread < copyingWarps)
      barrier::arrive(barrier);
    __syncwarp();
    if (run > 0) copy::row(ring.weights() + offset, weights, runBytes, barrier, policy);
#if WEIGHTS == E4M3_BLOCK
    if (scales)
      copy::row(ring.scales(p.tokenCount) + (thread - 24) * (scaleBytes / 2), scales + chunk * chunkBlocks, scaleCount * 4, barrier);
#endif
  }
  __device__ void copyTokens(const u16* token, int chunk, int columns) {
    const int count = smaller(chunkColumns, columns - chunk * chunkColumns);
    if (token)
      copy::row(ring.tokens() + (thread - 16) * tokenPitch, token + chunk * chunkColumns, count * 2,
                ring.full + ring.stage * 8);
  }
  __device__ bool takesToken(u32 mask) const { return thread >= 16 && thread < 24 && (mask >> (thread - 16) & 1); }
};

__device__ __forceinline__ void produceGateUp(Producer& producer, const TouchedExperts& experts) {
  const StreamArguments& p = producer.p;
  const int chunks = ceilDivide(p.hidden, chunkColumns);
  forEachGroup(p, experts, [&](int index, int row, int n) {
    const u32 mask = experts.tokens[index];
    const int half = producer.thread >> 3 & 1, offset = producer.thread & 7;
    const long long expert = experts.expert[index] * p.expertBytes;
    const float* scales = nullptr;
#if TILED
    const int run = producer.thread < 16 && offset == 0 ? n : 0;
    const u8* weights = p.gateUp + expert + (half * p.inner + row) / 8 * (long long)rowGroupBytes(p.hidden);
#else
    const int run = producer.thread >= 16 ? 0 : whole(p.hidden) ? (offset == 0 ? n : 0) : offset < n;
    const u8* weights = p.gateUp + expert + (long long)(half * p.inner + row + offset) * p.hidden * weightBytes;
#endif
#if WEIGHTS == E4M3_BLOCK
    if (producer.thread >= 24 && producer.thread < 26)
      scales = (const float*)(p.gateUpScales + expert)
        + ((producer.thread - 24) * ceilDivide(p.inner, scaleBlock) + row / scaleBlock) * scalePitch(p.hidden);
#endif
    const u16* token = producer.takesToken(mask) ? p.input + (long long)(producer.thread - 16) * p.hidden : nullptr;
    for (int chunk = producer.turn.first(producer.team, copyingTeams); chunk < chunks; chunk += copyingTeams) {
      producer.copyWeights(weights, run, scales, chunk, p.hidden, 2 * n, mask);
      producer.copyTokens(token, chunk, p.hidden);
      producer.ring.advance();
    }
    producer.turn.before += chunks;
  });
}

/// Down's stages: groups of rows, in each all touched experts, in each all chunks.
struct DownStage {
  int row, rows, index, chunk;
  __device__ bool next(const Share& share, int experts, int chunks, int hidden) {
    if (++chunk < chunks) return true;
    chunk = 0;
    if (++index < experts) return true;
    index = 0;
    row += rows;
    if (row >= share.end) return false;
    rows = groupRows<stageRows>(row, share.end - row, hidden);
    return true;
  }
  /// Whether there is one so many stages further on.
  __device__ bool skip(int count, const Share& share, int experts, int chunks, int hidden) {
    for (; count > 0; --count)
      if (!next(share, experts, chunks, hidden)) return false;
    return true;
  }
};

__device__ __forceinline__ void produceDown(Producer producer, const TouchedExperts& experts, u32 generation) {
  const StreamArguments& p = producer.p;
  const int chunks = ceilDivide(p.inner, chunkColumns);
  const Share share(p.hidden);
  if (share.begin >= share.end || experts.count == 0) return;
  const auto copyWeights = [&](const DownStage& s) {
    const long long expert = experts.expert[s.index] * p.expertBytes;
    const float* scales = nullptr;
#if TILED
    const int run = (producer.thread & 7) == 0 && producer.thread < s.rows ? 8 : 0;
    const u8* weights = p.down + expert + (s.row + producer.thread) / 8 * (long long)rowGroupBytes(p.inner);
#else
    const int run = whole(p.inner) ? (producer.thread == 0 ? s.rows : 0) : producer.thread < s.rows;
    const u8* weights = p.down + expert + (long long)(s.row + producer.thread) * p.inner * weightBytes;
#endif
#if WEIGHTS == E4M3_BLOCK
    if (producer.thread >= 24 && producer.thread < 26)
      scales = (const float*)(p.downScales + expert) + s.row / scaleBlock * scalePitch(p.inner);
#endif
    producer.copyWeights(weights, run, scales, s.chunk, p.inner, s.rows, experts.tokens[s.index]);
  };
  const auto copyTokens = [&](const DownStage& s) {
    const u16* token = nullptr;
    if (producer.takesToken(experts.tokens[s.index]))
      token = p.intermediate + ((long long)s.index * p.tokenCount + producer.thread - 16) * p.inner;
    producer.copyTokens(token, s.chunk, p.inner);
  };
  const auto advance = [&](DownStage& s, int count) { return s.skip(count, share, experts.count, chunks, p.hidden); };
  DownStage first{share.begin, groupRows<stageRows>(share.begin, share.end - share.begin, p.hidden), 0, 0};
  bool more = advance(first, producer.turn.first(producer.team, copyingTeams));
  // Weights fill the ring while the other blocks finish; then what they wrote follows.
  DownStage s = first;
  const Ring start = producer.ring;
  int ahead = 0;
  while (more && ahead < p.stages / copyingTeams) {
    copyWeights(s);
    producer.ring.advance();
    ++ahead;
    more = advance(s, copyingTeams);
  }
  if (lane() == 0) barrier::waitForGrid(p.grid, generation);
  __syncwarp();
  copy::fenceEngines();
  const Ring filled = producer.ring;
  producer.ring = start;
  DownStage t = first;
  for (int i = 0; i < ahead; ++i) {
    copyTokens(t);
    producer.ring.advance();
    advance(t, copyingTeams);
  }
  producer.ring = filled;
  while (more) {
    copyWeights(s);
    copyTokens(s);
    producer.ring.advance();
    more = advance(s, copyingTeams);
  }
}
