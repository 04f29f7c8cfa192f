// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The whole layer for at most 8 tokens, in one launch: bound by the weights' bytes, so everything serves their stream.
//
// Every block owns an equal share of the touched experts' (gate, up) row pairs, and an equal share of down's rows over
// all touched experts. Some warps copy both shares, in order, into a ring in shared memory; where activations are fp8 some
// quantise the tokens of a stage; teams multiply, each warp its own columns of a stage; one adds up what they have of some rows and
// finishes those, so that they never wait for it. Between the two products all blocks meet; meanwhile the ring fills with down's
// weights. All tokens are columns of one product, so that the sum over experts is the accumulator's: no second meeting.
#include "stream_producers.cuh"
#include "stream_product.cuh"
#include "stream_quantizer.cuh"

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
    mma::Sums sums = {};
#pragma unroll
    for (int team = 0; team < teams; ++team) {
      if (turn.first(team, teams) >= stages) continue;
      Words parts[warps];
#pragma unroll
      for (int i = 0; i < warps; ++i) parts[i] = shared.sums[slot][team * warps + i][lane()];
#pragma unroll
      for (int i = 0; i < warps; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) sums.c[j] += __uint_as_float(parts[i].w[j]);
    }
    turn.before += stages;
    __syncwarp();
    if (lane() == 0) barrier::arrive(sharedAddress(&shared.sumsTaken[slot]));
    advance();
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
  Ring ring;
  int team;
  Handover handover;
  Turn turn = {};

  __device__ void run() {
    mma::Sums sums = {};
    const auto stage = [&](const Walk& walk, int index, int chunk) {
      barrier::wait(ring.barrier(full), ring.phase);
      barrier::wait(ring.barrier(tokensAreNarrow ? quantized : fed), ring.phase);
      multiply(sums, ring, walk, experts.tokens[index], chunk, p.tokenCount);
      __syncwarp();
      if (lane() == 0) barrier::arrive(ring.barrier(empty));
      ring.advance();
    };
    const auto product = [&](bool isDown) {
      forEachStage(Walk(p, experts, isDown), turn, team, teams, stage, [&](const Walk&, bool has) {
        handover.give(sums, has);
        sums = {};
      });
    };
    product(false);
    product(true);
  }
};

/// One warp: a lane holds rows g and g + 8, or gate and up of row g, of tokens 2t and 2t + 1.
struct Finisher {
  const StreamArguments& p;
  const TouchedExperts& experts;
  Handover handover;
  /// [touched experts, tokens] in device memory, where rows have one scale: the greatest of the intermediate.
  u32* greatest;
  Turn turn = {};

  __device__ void run() {
    for (Walk walk(p, experts, false); walk.goesOn(); walk.nextGroup()) gateUp(walk);
    // What its lanes wrote is told by one.
    __syncwarp();
    if (lane() == 0) {
      barrier::arriveAtGrid(p.grid);
      barrier::arrive(sharedAddress(&handover.shared.arrived));
    }
    for (Walk walk(p, experts, true); walk.goesOn(); walk.nextGroup()) down(walk);
  }

 private:
  __device__ void gateUp(const Walk& walk) {
    const int t = lane() & 3, index = walk.index, row = walk.row + (lane() >> 2);
    const u32 mask = experts.tokens[index];
    float gateBias = 0, upBias = 0;
    if (p.gateUpBias) {
      const float* bias = (const float*)(p.gateUpBias + experts.expert[index] * p.expertBytes) + row;
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
    const mma::Sums sums = handover.take(turn, walk.stages);
    u32 magnitudes[2] = {};
    for (int i = 0; i < 2; ++i) {
      const int token = t * 2 + i;
      if (!(mask >> token & 1)) continue;
      const float weight = experts.weight[index * p.tokenCount + token];
      // Where rows have one scale, that takes the weight.
      const float before = p.weightOnInput ? weight : 1.f;
      const float after = (p.weightOnInput || tokensHaveFactors ? 1.f : weight) * downFactor;
      const float value = activate(
        sums.c[i] * (before * gateFactor) + gateBias, sums.c[2 + i] * (before * upFactor) + upBias, p.activation);
      const u32 rounded = roundBF16(value * after);
      p.intermediate[((long long)index * p.tokenCount + token) * p.inner + row] = (u16)rounded;
      magnitudes[i] = rounded << 16 & 0x7fff0000u;
    }
    if (tokensHaveFactors) raise(index, magnitudes);
  }

  /// By the greatest of 8 rows.
  __device__ void raise(int index, u32 (&magnitudes)[2]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int step = 4; step < 32; step *= 2) magnitudes[i] = max(magnitudes[i], __shfl_xor_sync(~0u, magnitudes[i], step));
      if (lane() < 4 && magnitudes[i] > 0) atomicMax(&greatest[index * maxTokens + lane() * 2 + i], magnitudes[i]);
    }
  }

  __device__ void down(const Walk& walk) {
    const int t = lane() & 3, row = walk.row + (lane() >> 2);
    float biases[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) biases[i] = bias(t * 2 + (i & 1), row + (i >> 1) * 8);
    const mma::Sums sums = handover.take(turn, walk.stages);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int token = t * 2 + (i & 1), half = i >> 1;
      if (token >= p.tokenCount || half * 8 >= walk.rows) continue;
      const long long place = (long long)token * p.hidden + row + half * 8;
      const float value = sums.c[i] + biases[i];
      if (p.outputIsFloat)
        ((float*)p.output)[place] = value;
      else
        ((u16*)p.output)[place] = roundBF16(value);
    }
  }

  /// 0 beyond the output.
  __device__ float bias(int token, int row) const {
    if (!p.downBias || row >= p.hidden) return 0;
    float sum = 0;
    for (int index = 0; index < experts.count; ++index)
      if (experts.tokens[index] >> token & 1)
        sum += (p.weightOnInput ? 1.f : experts.weight[index * p.tokenCount + token])
          * ((const float*)(p.downBias + experts.expert[index] * p.expertBytes))[row];
    return sum;
  }
};

extern "C" __global__ void __launch_bounds__(consumers + producers + quantizers + 32, 1) experts_stream(
  const __grid_constant__ TensorMap gateUp, const __grid_constant__ TensorMap down, const __grid_constant__ StreamArguments p) {
  extern __shared__ __align__(128) u8 memory[];
  Shared& shared = *(Shared*)memory;
  if (threadIdx.x == 0) {
    if (!TILED) {
      copy::prefetch(&gateUp);
      copy::prefetch(&down);
    }
    for (int i = 0; i < p.stages; ++i) {
      barrier::initialize(sharedAddress(&shared.stages[full][i]), 1);
      barrier::initialize(sharedAddress(&shared.stages[fed][i]), 1);
      if (tokensAreNarrow) barrier::initialize(sharedAddress(&shared.stages[quantized][i]), quantizingWarps);
      barrier::initialize(sharedAddress(&shared.stages[empty][i]), warps);
    }
    for (int i = 0; i < sumSlots; ++i) {
      barrier::initialize(sharedAddress(&shared.sumsGiven[i]), teams * warps);
      barrier::initialize(sharedAddress(&shared.sumsTaken[i]), 1);
    }
    barrier::initialize(sharedAddress(&shared.arrived), 1);
    barrier::fenceInitialization();
  }
  if (threadIdx.x < sizeof(shared.zeros) / sizeof(Words)) shared.zeros[threadIdx.x] = {};
  if (threadIdx.x < maxTokens) shared.greatest[threadIdx.x] = 0;
  shared.experts.clear();
  barrier::waitForPreviousKernel();
  barrier::releaseNextKernel();
  const u32 generation = barrier::generation(p.grid);
  u32* greatest = nullptr;
  if (tokensHaveFactors) {
    const u32 turn = p.grid->turn, own = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x >= consumers) findGreatest(shared, p);
    greatest = &p.grid->greatest[turn][0][0];
    if (own < maxPairs * maxTokens) (&p.grid->greatest[turn ^ 1][0][0])[own] = 0;
  }
  shared.experts.find(p.topKIds, p.topKWeights, p.tokenCount, p.topK, p.experts);
  u8* const stages = memory + ((sizeof(Shared) + 127) & ~127);
  const int warp = uniform(threadIdx.x / 32);
  if (threadIdx.x < consumers) {
    const int team = warp / warps;
    Consumer{p, shared.experts, Ring(stages, shared, p, team, teams), team, {shared}}.run();
  } else if (threadIdx.x < consumers + producers) {
    const int copier = warp - consumers / 32;
    Producer{gateUp, down, p, shared.experts, Ring(stages, shared, p, copier, copyingWarps), copy::readOncePolicy(), copier,
             generation, greatest}.run();
  } else if (threadIdx.x < consumers + producers + quantizers) {
    const int quantizer = warp - (consumers + producers) / 32, team = quantizer / quantizingWarps;
    Quantizer{p, shared, Ring(stages, shared, p, team, quantizingTeams), team, quantizer % quantizingWarps}.run();
  } else {
    Finisher{p, shared.experts, {shared}, greatest}.run();
  }
}
