// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The whole layer for at most 8 tokens, in one launch: bound by the weights' bytes, so everything serves their stream.
//
// Every block owns an equal share of the touched experts' (gate, up) row pairs, and an equal share of down's rows over
// all touched experts. Four warps copy both shares, in order, into a ring in shared memory; sets of eight warps multiply,
// each warp its own columns of a stage. Between the two products all blocks meet; meanwhile the ring fills with down's weights.
// All tokens are columns of one product, so that the sum over experts is the accumulator's: no second meeting.
#include "stream_producers.cuh"
#include "stream_product.cuh"

struct Consumer {
  const StreamArguments& p;
  Shared& shared;
  Ring& ring;

  int turn;

  /// The next stage.
  __device__ void consume(mma::Sums& sums, u32 mask, int chunk, int columns) {
    barrier::wait(ring.full + ring.stage * 8, ring.phase);
    multiply(sums, ring, mask, chunk, columns, p.tokenCount);
    __syncwarp();
    if (lane() == 0) barrier::arrive(ring.empty + ring.stage * 8);
    ring.advance();
  }

  /// Adds the warps' sums; true for the one warp, another each time, that holds the total.
  __device__ bool total(mma::Sums& sums) {
    const int buffer = turn & 1, owner = turn % warps, warp = threadIdx.x >> 5;
    ++turn;
    shared.sums[buffer][warp][lane()] = *(Words*)&sums;
    barrier::meet(1, consumers);
    if (warp != owner) return false;
    sums = {};
    for (int i = 0; i < warps; ++i) {
      const Words part = shared.sums[buffer][i][lane()];
#pragma unroll
      for (int j = 0; j < 4; ++j) sums.c[j] += __uint_as_float(part.w[j]);
    }
#if WEIGHTS == MXFP4
#pragma unroll
    for (int j = 0; j < 4; ++j) sums.c[j] *= fp4::restored;
#endif
    return true;
  }

  __device__ void gateUp() {
    const TouchedExperts& experts = shared.experts;
    const int chunks = ceilDivide(p.hidden, chunkColumns), g = lane() >> 2, t = lane() & 3;
    const Share share(experts.count * p.inner);
    for (int unit = share.begin; unit < share.end;) {
      const int index = unit / p.inner, row = unit % p.inner, n = groupRows<8>(row, share.end - unit, p.inner);
      const u32 mask = experts.tokens[index];
      mma::Sums sums = {};
      for (int chunk = 0; chunk < chunks; ++chunk) consume(sums, mask, chunk, p.hidden);
      unit += n;
      if (!total(sums) || g >= n) continue;
      float gateBias = 0, upBias = 0;
      if (p.gateUpBias) {
        const float* bias = (const float*)(p.gateUpBias + experts.expert[index] * p.expertBytes) + row + g;
        gateBias = bias[0];
        upBias = bias[p.inner];
      }
      for (int i = 0; i < 2; ++i) {
        const int token = t * 2 + i;
        if (!(mask >> token & 1)) continue;
        const float weight = experts.weight[index * p.tokenCount + token];
        const float before = p.weightOnInput ? weight : 1.f, after = p.weightOnInput ? 1.f : weight;
        const float value = activate(sums.c[i] * before + gateBias, sums.c[2 + i] * before + upBias, p.activation);
        p.intermediate[((long long)index * p.tokenCount + token) * p.inner + row + g] = roundBF16(value * after);
      }
    }
  }

  __device__ void down() {
    const TouchedExperts& experts = shared.experts;
    const int chunks = ceilDivide(p.inner, chunkColumns), g = lane() >> 2, t = lane() & 3;
    const Share share(p.hidden);
    for (int row = share.begin; row < share.end;) {
      const int n = groupRows<stageRows>(row, share.end - row, p.hidden);
      mma::Sums sums = {};
      for (int index = 0; index < experts.count; ++index)
        for (int chunk = 0; chunk < chunks; ++chunk) consume(sums, experts.tokens[index], chunk, p.inner);
      if (total(sums)) {
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
      row += n;
    }
  }

  __device__ float bias(int token, int row) const {
    const TouchedExperts& experts = shared.experts;
    if (!p.downBias) return 0;
    float sum = 0;
    for (int index = 0; index < experts.count; ++index)
      if (experts.tokens[index] >> token & 1)
        sum += (p.weightOnInput ? 1.f : experts.weight[index * p.tokenCount + token])
          * ((const float*)(p.downBias + experts.expert[index] * p.expertBytes))[row];
    return sum;
  }
};

extern "C" __global__ void __launch_bounds__(consumers + producers, 1) experts_stream(const __grid_constant__ StreamArguments p) {
  extern __shared__ __align__(128) u8 memory[];
  Shared& shared = *(Shared*)memory;
  if (threadIdx.x == 0) {
    for (int i = 0; i < p.stages; ++i) {
      barrier::initialize(sharedAddress(&shared.full[i]), 1);
      barrier::initialize(sharedAddress(&shared.empty[i]), warps);
    }
    barrier::fenceInitialization();
  }
  shared.experts.clear();
  barrier::waitForPreviousKernel();
  barrier::releaseNextKernel();
  const u32 generation = barrier::generation(p.grid);
  shared.experts.find(p.topKIds, p.topKWeights, p.tokenCount, p.topK, p.experts);
  Ring ring(memory + ((sizeof(Shared) + 127) & ~127), shared, p);
  if (threadIdx.x >= consumers) {
    const int thread = threadIdx.x - consumers;
    Producer producer{p, ring, copy::readOncePolicy(), (thread & 31) * (producers / 32) + (thread >> 5)};
    produceGateUp(producer, shared.experts);
    produceDown(producer, shared.experts, generation);
  } else {
    Consumer consumer{p, shared, ring, 0};
    consumer.gateUp();
    __threadfence();
    copy::fenceEngines();
    barrier::meet(1, consumers);
    if (threadIdx.x == 0) barrier::arriveAtGrid(p.grid, gridDim.x);
    consumer.down();
  }
}
