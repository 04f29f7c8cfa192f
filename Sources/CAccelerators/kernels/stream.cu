// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The whole layer for at most 8 tokens, in one launch: bound by the weights' bytes, so everything serves their stream.
//
// Every block owns an equal share of the touched experts' (gate, up) row pairs, and an equal share of down's rows over
// all touched experts. Some warps copy both shares, in order, into a ring in shared memory; teams of them multiply, each warp
// its own columns of a stage; one adds up what they have of some rows and finishes those, so that they never wait for it. Between
// the two products all blocks meet; meanwhile the ring fills with down's weights. All tokens are columns of one product, so
// that the sum over experts is the accumulator's: no second meeting.
#include "stream_producers.cuh"
#include "stream_product.cuh"

/// The multiplying warps' sums of some rows on their way to the one that finishes them.
struct Handover {
  Shared& shared;
  int slot = 0;
  u32 phase = 0;

  __device__ void advance() {
    if (++slot == sumSlots) {
      slot = 0;
      phase ^= 1;
    }
  }
  /// Of a team that `has` had stages of these rows.
  __device__ void give(const mma::Sums& sums, bool has) {
    barrier::wait(sharedAddress(&shared.sumsTaken[slot]), phase ^ 1);
    if (has) shared.sums[slot][threadIdx.x >> 5][lane()] = *(const Words*)&sums;
    __syncwarp();
    if (lane() == 0) barrier::arrive(sharedAddress(&shared.sumsGiven[slot]));
    advance();
  }
  /// The total of rows with so many stages, in the order of the warps.
  __device__ mma::Sums take(Turn& turn, int stages) {
    barrier::wait(sharedAddress(&shared.sumsGiven[slot]), phase);
    Words parts[teams * warps];
#pragma unroll
    for (int i = 0; i < teams * warps; ++i) {
      parts[i] = {};
      if (turn.first(i / warps, teams) < stages) parts[i] = shared.sums[slot][i][lane()];
    }
    turn.before += stages;
    __syncwarp();
    if (lane() == 0) barrier::arrive(sharedAddress(&shared.sumsTaken[slot]));
    advance();
    mma::Sums sums = {};
#pragma unroll
    for (int i = 0; i < teams * warps; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) sums.c[j] += __uint_as_float(parts[i].w[j]);
#if TILED
#pragma unroll
    for (int j = 0; j < 4; ++j) sums.c[j] *= codes::restored;
#endif
    return sums;
  }
};

struct Consumer {
  const StreamArguments& p;
  const TouchedExperts& experts;
  Ring& ring;
  int team;
  Handover handover;
  Turn turn = {};

  /// The next stage.
  __device__ void consume(mma::Sums& sums, u32 mask, int chunk, int columns) {
    barrier::wait(ring.full + ring.stage * 8, ring.phase);
    multiply(sums, ring, mask, chunk, columns, p.tokenCount);
    __syncwarp();
    if (lane() == 0) barrier::arrive(ring.empty + ring.stage * 8);
    ring.advance();
  }

  __device__ void gateUp() {
    const int chunks = ceilDivide(p.hidden, chunkColumns);
    forEachGroup(p, experts, [&](int index, int, int) {
      mma::Sums sums = {};
      const int first = turn.first(team, teams);
      for (int chunk = first; chunk < chunks; chunk += teams) consume(sums, experts.tokens[index], chunk, p.hidden);
      turn.before += chunks;
      handover.give(sums, first < chunks);
    });
  }

  __device__ void down() {
    const int chunks = ceilDivide(p.inner, chunkColumns), stages = experts.count * chunks;
    const Share share(p.hidden);
    for (int row = share.begin; row < share.end; row += groupRows<stageRows>(row, share.end - row, p.hidden)) {
      mma::Sums sums = {};
      const int first = turn.first(team, teams);
      int index = 0, chunk = first;
      for (int stage = first; stage < stages; stage += teams, chunk += teams) {
        for (; chunk >= chunks; chunk -= chunks) ++index;
        consume(sums, experts.tokens[index], chunk, p.inner);
      }
      turn.before += stages;
      handover.give(sums, first < stages);
    }
  }
};

/// One warp: a lane holds rows g and g + 8, or gate and up of row g, of tokens 2t and 2t + 1.
struct Finisher {
  const StreamArguments& p;
  const TouchedExperts& experts;
  Handover handover;
  Turn turn = {};

  __device__ void gateUp() {
    const int g = lane() >> 2, t = lane() & 3, chunks = ceilDivide(p.hidden, chunkColumns);
    forEachGroup(p, experts, [&](int index, int row, int n) {
      const mma::Sums sums = handover.take(turn, chunks);
      if (g >= n) return;
      const u32 mask = experts.tokens[index];
      float gateBias = 0, upBias = 0;
      if (p.gateUpBias) {
        const float* bias = (const float*)(p.gateUpBias + experts.expert[index] * p.expertBytes) + row + g;
        gateBias = bias[0];
        upBias = bias[p.inner];
      }
      // Down adds all experts up, so its factors have to come before.
      float gateFactor = 1, upFactor = 1, downFactor = 1;
      if (TILED && codes::hasFactors) {
        const float* factors = (const float*)(p.gateUpScales + experts.expert[index] * p.expertBytes);
        gateFactor = factors[0];
        upFactor = factors[1];
        downFactor = *(const float*)(p.downScales + experts.expert[index] * p.expertBytes);
      }
      for (int i = 0; i < 2; ++i) {
        const int token = t * 2 + i;
        if (!(mask >> token & 1)) continue;
        const float weight = experts.weight[index * p.tokenCount + token];
        const float before = p.weightOnInput ? weight : 1.f, after = (p.weightOnInput ? 1.f : weight) * downFactor;
        const float value = activate(
          sums.c[i] * (before * gateFactor) + gateBias, sums.c[2 + i] * (before * upFactor) + upBias, p.activation);
        p.intermediate[((long long)index * p.tokenCount + token) * p.inner + row + g] = roundBF16(value * after);
      }
    });
  }

  __device__ void down() {
    const int g = lane() >> 2, t = lane() & 3, stages = experts.count * ceilDivide(p.inner, chunkColumns);
    const Share share(p.hidden);
    for (int row = share.begin, n; row < share.end; row += n) {
      n = groupRows<stageRows>(row, share.end - row, p.hidden);
      const mma::Sums sums = handover.take(turn, stages);
      for (int i = 0; i < 4; ++i) {
        const int token = t * 2 + (i & 1), offset = g + (i >> 1) * 8;
        if (token >= p.tokenCount || offset >= n) continue;
        const long long place = (long long)token * p.hidden + row + offset;
        const float value = sums.c[i] + bias(token, row + offset);
        if (p.outputIsFloat)
          ((float*)p.output)[place] = value;
        else
          ((u16*)p.output)[place] = roundBF16(value);
      }
    }
  }

  __device__ float bias(int token, int row) const {
    if (!p.downBias) return 0;
    float sum = 0;
    for (int index = 0; index < experts.count; ++index)
      if (experts.tokens[index] >> token & 1)
        sum += (p.weightOnInput ? 1.f : experts.weight[index * p.tokenCount + token])
          * ((const float*)(p.downBias + experts.expert[index] * p.expertBytes))[row];
    return sum;
  }
};

extern "C" __global__ void __launch_bounds__(consumers + producers + 32, 1) experts_stream(const __grid_constant__ StreamArguments p) {
  extern __shared__ __align__(128) u8 memory[];
  Shared& shared = *(Shared*)memory;
  if (threadIdx.x == 0) {
    for (int i = 0; i < p.stages; ++i) {
      barrier::initialize(sharedAddress(&shared.full[i]), copyingWarps);
      barrier::initialize(sharedAddress(&shared.empty[i]), warps);
    }
    for (int i = 0; i < sumSlots; ++i) {
      barrier::initialize(sharedAddress(&shared.sumsGiven[i]), teams * warps);
      barrier::initialize(sharedAddress(&shared.sumsTaken[i]), 1);
    }
    barrier::fenceInitialization();
  }
  if (threadIdx.x < scaleBlock / 8) shared.zeros[threadIdx.x] = {};
  shared.experts.clear();
  barrier::waitForPreviousKernel();
  barrier::releaseNextKernel();
  const u32 generation = barrier::generation(p.grid);
  shared.experts.find(p.topKIds, p.topKWeights, p.tokenCount, p.topK, p.experts);
  u8* const stages = memory + ((sizeof(Shared) + 127) & ~127);
  if (threadIdx.x < consumers) {
    const int team = uniform(threadIdx.x / (warps * 32));
    Ring ring(stages, shared, p, team, teams);
    Consumer consumer{p, shared.experts, ring, team, {shared}};
    consumer.gateUp();
    consumer.down();
  } else if (threadIdx.x < consumers + producers) {
    const int warp = (threadIdx.x - consumers) / 32, team = warp / copyingWarps;
    Ring ring(stages, shared, p, team, copyingTeams);
    Producer producer{p, ring, copy::readOncePolicy(), (int)lane() * copyingWarps + warp % copyingWarps, team};
    produceGateUp(producer, shared.experts);
    produceDown(producer, shared.experts, generation);
  } else {
    Finisher finisher{p, shared.experts, {shared}};
    finisher.gateUp();
    __threadfence();
    copy::fenceEngines();
    __syncwarp();
    if (lane() == 0) barrier::arriveAtGrid(p.grid, gridDim.x);
    finisher.down();
  }
}
