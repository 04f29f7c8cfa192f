// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The whole layer for at most 8 tokens, in one launch: bound by the weights' bytes, so everything serves their stream.
//
// Every block owns an equal share of the touched experts' (gate, up) row pairs, and an equal share of down's rows over
// all touched experts. Four warps copy both shares, in order, into a ring in shared memory; sets of eight warps multiply,
// each warp its own columns of a stage. Between the two products all blocks meet; meanwhile the ring fills with down's weights.
// All tokens are columns of one product, so that the sum over experts is the accumulator's: no second meeting.
#include "activation.cuh"
#include "copy.cuh"
#include "e4m3.cuh"
#include "experts.cuh"
#include "mma.cuh"
#include "weights.cuh"

/// Bytes of a weight row in a stage.
#ifndef CHUNK
#define CHUNK 1024
#endif

#ifndef SETS
#define SETS 1
#endif

/// Warps that share a stage; sets of warps take stages in turn.
constexpr int warps = 8;
constexpr int consumers = warps * SETS * 32;
constexpr int producers = 4 * 32;
constexpr int maxStages = 32;
/// 16 rows: 8 of gate and 8 of up, or 16 of down.
constexpr int stageRows = 16;
constexpr int chunkColumns = CHUNK / weightBytes;
constexpr int warpBytes = CHUNK / warps;
/// Rows that fit a stage whole lie as in memory, and one copy brings all of a group. Pieces of rows have half a bank
/// cycle between them, so that 8 lanes of a load meet 8 different banks.
constexpr int maxWeightPitch = CHUNK + 64;
__device__ __forceinline__ bool whole(int columns) { return columns <= chunkColumns; }
__device__ __forceinline__ int weightPitch(int columns) { return whole(columns) ? columns * weightBytes : maxWeightPitch; }
constexpr int tokenPitch = chunkColumns * 2 + 64;
constexpr int scaleBytes = WEIGHTS == BF16 ? 0 : 2 * (chunkColumns / 128) * 4;

struct StreamArguments {
  const u16* input;         // [tokens, hidden] bf16
  const int* topKIds;       // [tokens, topK]
  const float* topKWeights; // [tokens, topK]
  const u8* gateUp;         // [experts, 2, inner, hidden]
  const u8* down;           // [experts, hidden, inner]
  const float* gateUpScales;
  const float* downScales;
  const float* gateUpBias;  // [experts, 2, inner] or null
  const float* downBias;    // [experts, hidden] or null
  u16* intermediate;        // [tokens * topK, tokens, inner] bf16: scratch
  u16* output;              // [tokens, hidden] bf16
  barrier::Grid* grid;
  ActivationArguments activation;
  int tokenCount, topK, hidden, inner, stages, weightOnInput;
};

struct Shared {
  TouchedExperts experts;
  Words sums[2][warps * SETS][32];
  u64 full[maxStages], empty[maxStages];
};

/// A run of at most 16 rows of one expert (8 pairs) or, for down, of all touched experts.
struct Share {
  int begin, end;
  __device__ Share(int total) {
    begin = (int)((u32)total * blockIdx.x / gridDim.x);
    end = (int)((u32)total * (blockIdx.x + 1) / gridDim.x);
  }
};

/// Rows of the group that begins at `row`: a group doesn't cross `end`, its matrix's last row, or a block of scales.
template <int most> __device__ __forceinline__ int groupRows(int row, int remaining, int rows) {
  int n = smaller(most, smaller(remaining, rows - row));
#if WEIGHTS == E4M3_BLOCK
  n = smaller(n, scaleBlock - row % scaleBlock);
#endif
  return n;
}

struct Ring {
  u32 base, full, empty;
  int stages, stageBytes, stage;
  u32 phase;

  __device__ Ring(u8* memory, Shared& shared, const StreamArguments& p)
      : base(sharedAddress(memory)), full(sharedAddress(shared.full)), empty(sharedAddress(shared.empty)),
        stages(p.stages), stageBytes(bytes(p.tokenCount)), stage(0), phase(0) {}
  __device__ static int bytes(int tokens) {
    return (stageRows * maxWeightPitch + tokens * tokenPitch + scaleBytes + 127) & ~127;
  }
  __device__ u32 weights() const { return base + stage * stageBytes; }
  __device__ u32 tokens() const { return weights() + stageRows * maxWeightPitch; }
  __device__ u32 scales(int tokenCount) const { return tokens() + tokenCount * tokenPitch; }
  __device__ void advance() {
    if (++stage == stages) {
      stage = 0;
      phase ^= 1;
    }
  }
};

/// One stage's sources, thread by thread: 0–15 copy weight rows, 16–23 tokens, 24 and 25 scales. A warp issues its
/// copies one after the other, so neighbours are in different warps.
struct Producer {
  const StreamArguments& p;
  Ring& ring;
  u64 policy;
  int thread;

  /// This thread copies `run` rows (perhaps none) from `weights`; `rows` is the sum of all runs.
  __device__ void copyWeights(
    const u8* weights, int run, const float* scales, int chunk, int columns, int rows, u32 mask) {
    const int count = smaller(chunkColumns, columns - chunk * chunkColumns);
    const u32 barrier = ring.full + ring.stage * 8;
    barrier::wait(ring.empty + ring.stage * 8, ring.phase ^ 1);
    u32 scaleCount = 0;
#if WEIGHTS == E4M3_BLOCK
    scaleCount = (ceilDivide(count, scaleBlock) + 3) & ~3;
#endif
    if (thread == 0)
      barrier::arriveExpecting(barrier, rows * count * weightBytes + __popc(mask) * count * 2 + scaleCount * 8);
    __syncwarp();
    if (run > 0)
      copy::row(ring.weights() + thread * weightPitch(columns), weights + (long long)chunk * CHUNK,
                run * count * weightBytes, barrier, policy);
#if WEIGHTS == E4M3_BLOCK
    if (scales)
      copy::row(ring.scales(p.tokenCount) + (thread - 24) * (scaleBytes / 2), scales + chunk * (chunkColumns / scaleBlock),
                scaleCount * 4, barrier);
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

__device__ __forceinline__ void produceGateUp(Producer producer, const TouchedExperts& experts) {
  const StreamArguments& p = producer.p;
  const int chunks = ceilDivide(p.hidden, chunkColumns);
  const Share share(experts.count * p.inner);
  for (int unit = share.begin; unit < share.end;) {
    const int index = unit / p.inner, row = unit % p.inner, n = groupRows<8>(row, share.end - unit, p.inner);
    const u32 mask = experts.tokens[index];
    const int half = producer.thread >> 3 & 1, offset = producer.thread & 7;
    const long long matrix = experts.expert[index] * 2;
    const float* scales = nullptr;
    const int run = producer.thread >= 16 ? 0 : whole(p.hidden) ? (offset == 0 ? n : 0) : offset < n;
    const u8* weights = p.gateUp + ((matrix + half) * p.inner + row + offset) * p.hidden * weightBytes;
#if WEIGHTS == E4M3_BLOCK
    if (producer.thread >= 24 && producer.thread < 26)
      scales = p.gateUpScales
        + ((matrix + producer.thread - 24) * ceilDivide(p.inner, scaleBlock) + row / scaleBlock) * scalePitch(p.hidden);
#endif
    const u16* token = producer.takesToken(mask) ? p.input + (long long)(producer.thread - 16) * p.hidden : nullptr;
    for (int chunk = 0; chunk < chunks; ++chunk) {
      producer.copyWeights(weights, run, scales, chunk, p.hidden, 2 * n, mask);
      producer.copyTokens(token, chunk, p.hidden);
      producer.ring.advance();
    }
    unit += n;
  }
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
};

__device__ __forceinline__ void produceDown(Producer producer, const TouchedExperts& experts, u32 generation) {
  const StreamArguments& p = producer.p;
  const int chunks = ceilDivide(p.inner, chunkColumns);
  const Share share(p.hidden);
  if (share.begin >= share.end || experts.count == 0) return;
  const auto copyWeights = [&](const DownStage& s) {
    const long long matrix = experts.expert[s.index];
    const float* scales = nullptr;
    const int run = whole(p.inner) ? (producer.thread == 0 ? s.rows : 0) : producer.thread < s.rows;
    const u8* weights = p.down + (matrix * p.hidden + s.row + producer.thread) * p.inner * weightBytes;
#if WEIGHTS == E4M3_BLOCK
    if (producer.thread >= 24 && producer.thread < 26)
      scales = p.downScales + (matrix * ceilDivide(p.hidden, scaleBlock) + s.row / scaleBlock) * scalePitch(p.inner);
#endif
    producer.copyWeights(weights, run, scales, s.chunk, p.inner, s.rows, experts.tokens[s.index]);
  };
  const auto copyTokens = [&](const DownStage& s) {
    const u16* token = nullptr;
    if (producer.takesToken(experts.tokens[s.index]))
      token = p.intermediate + ((long long)s.index * p.tokenCount + producer.thread - 16) * p.inner;
    producer.copyTokens(token, s.chunk, p.inner);
  };
  const DownStage first{share.begin, groupRows<stageRows>(share.begin, share.end - share.begin, p.hidden), 0, 0};
  // Weights fill the ring while the other blocks finish; then what they wrote follows.
  DownStage s = first;
  const Ring start = producer.ring;
  int ahead = 0;
  bool more = true;
  while (more && ahead < p.stages) {
    copyWeights(s);
    producer.ring.advance();
    ++ahead;
    more = s.next(share, experts.count, chunks, p.hidden);
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
    t.next(share, experts.count, chunks, p.hidden);
  }
  producer.ring = filled;
  while (more) {
    copyWeights(s);
    copyTokens(s);
    producer.ring.advance();
    more = s.next(share, experts.count, chunks, p.hidden);
  }
}

/// This warp's columns of a stage, added to `sums`.
__device__ __forceinline__ void multiply(mma::Sums& sums, const Ring& ring, u32 mask, int chunk, int columns, int tokenCount) {
  const int warp = threadIdx.x / 32 % warps, g = lane() >> 2, t = lane() & 3;
  const int bytes = smaller(CHUNK, (columns - chunk * chunkColumns) * weightBytes);
  const int pitch = weightPitch(columns);
  const u32 rows = ring.weights() + g * pitch, token = ring.tokens() + g * tokenPitch;
  const bool routed = mask >> g & 1;
  const Words none = {};
#if WEIGHTS == BF16
#pragma unroll
  for (int step = 0; step < warpBytes; step += 64) {
    const int start = warp * warpBytes + step, offset = start + t * 16;
    if (start >= bytes) break;
    const bool inside = offset < bytes;
    const Words low = inside ? loadShared(rows + offset) : none;
    const Words high = inside ? loadShared(rows + 8 * pitch + offset) : none;
    const Words x = inside && routed ? loadShared(token + offset) : none;
    mma::addBF16(sums, low.w[0], high.w[0], low.w[1], high.w[1], x.w[0], x.w[1]);
    mma::addBF16(sums, low.w[2], high.w[2], low.w[3], high.w[3], x.w[2], x.w[3]);
  }
#else
  static_assert(warpBytes % scaleBlock == 0, "a warp multiplies blocks of scales");
#pragma unroll
  for (int part = 0; part < warpBytes / scaleBlock; ++part) {
    const int start = warp * warpBytes + part * scaleBlock;
    if (start >= bytes) break;
    // The token's 128 values become e4m3 with a scale of their own; 4 lanes share a token. Weights and tokens are then
    // multiplied as fp16, exactly: the tensor cores' own e4m3 is for whole warpgroups only.
    Words x[4];
    u32 bits = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int offset = start + (i >> 1) * 64 + t * 16;
      x[i] = offset < bytes && routed ? loadShared(token + offset * 2 + (i & 1) * 16) : none;
#pragma unroll
      for (int j = 0; j < 4; ++j) bits = greaterHalves(bits, x[i].w[j] & 0x7fff7fffu);
    }
    bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, 1));
    bits = greaterHalves(bits, __shfl_xor_sync(~0u, bits, 2));
    const float greatest = fmaxf(fmaxf(lowBF16(bits), highBF16(bits)), 1e-10f);
    const float scale = greatest * (widenedScale / 448.f), inverse = 448.f * reciprocal(greatest);
    mma::Sums block[2] = {};
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      const int offset = start + step * 64 + t * 16;
      const bool inside = offset < bytes;
      const Words low = inside ? loadShared(rows + offset) : none;
      const Words high = inside ? loadShared(rows + 8 * pitch + offset) : none;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const u32 a = x[step * 2 + i / 2].w[i % 2 * 2], b = x[step * 2 + i / 2].w[i % 2 * 2 + 1];
        const u32 even = unpackE4M3(packE4M3(lowBF16(a) * inverse, lowBF16(b) * inverse));
        const u32 odd = unpackE4M3(packE4M3(highBF16(a) * inverse, highBF16(b) * inverse));
        u32 lowEven, lowOdd, highEven, highOdd;
        widenE4M3(low.w[i], lowEven, lowOdd);
        widenE4M3(high.w[i], highEven, highOdd);
        mma::addF16(block[i & 1], lowEven, highEven, lowOdd, highOdd, even, odd);
      }
    }
    const u32 scales = ring.scales(tokenCount) + start / scaleBlock * 4;
    const float even = __shfl_sync(~0u, scale, t * 8), odd = __shfl_sync(~0u, scale, t * 8 + 4);
    const float first = loadSharedFloat(scales), second = loadSharedFloat(scales + scaleBytes / 2);
    sums.c[0] += (block[0].c[0] + block[1].c[0]) * (even * first);
    sums.c[1] += (block[0].c[1] + block[1].c[1]) * (odd * first);
    sums.c[2] += (block[0].c[2] + block[1].c[2]) * (even * second);
    sums.c[3] += (block[0].c[3] + block[1].c[3]) * (odd * second);
  }
#endif
}

struct Consumer {
  const StreamArguments& p;
  Shared& shared;
  Ring& ring;
  int groups;

  __device__ void consume(mma::Sums& sums, u32 mask, int chunk, int columns) {
    if (ring.stage % SETS == threadIdx.x / (warps * 32)) {
      barrier::wait(ring.full + ring.stage * 8, ring.phase);
      multiply(sums, ring, mask, chunk, columns, p.tokenCount);
      __syncwarp();
      if (lane() == 0) barrier::arrive(ring.empty + ring.stage * 8);
    }
    ring.advance();
  }

  /// Adds the warps' sums; true for the one warp, another each time, that holds the total.
  __device__ bool total(mma::Sums& sums) {
    const int buffer = groups & 1, owner = groups % (warps * SETS), warp = threadIdx.x >> 5;
    ++groups;
    shared.sums[buffer][warp][lane()] = *(Words*)&sums;
    barrier::meet(1, consumers);
    if (warp != owner) return false;
    sums = {};
    for (int i = 0; i < warps * SETS; ++i) {
      const Words part = shared.sums[buffer][i][lane()];
#pragma unroll
      for (int j = 0; j < 4; ++j) sums.c[j] += __uint_as_float(part.w[j]);
    }
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
        const float* bias = p.gateUpBias + (long long)experts.expert[index] * 2 * p.inner + row + g;
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
          p.output[(long long)token * p.hidden + row + offset] = roundBF16(sums.c[i] + bias(token, row + offset));
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
          * p.downBias[(long long)experts.expert[index] * p.hidden + row];
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
  shared.experts.find(p.topKIds, p.topKWeights, p.tokenCount, p.topK);
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
