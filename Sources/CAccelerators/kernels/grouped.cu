// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// One product of all experts with their rows: gate and up with the activation (`DOWN` = 0), or down (`DOWN` = 1).
//
// Weights are the left operand, so that a tile's rows (tokens) may be any multiple of `STEP`: 128 weight rows times at
// most `TOKENS` rows. Blocks stay and take tile after tile. Four warps copy: weights as boxes, rows gathered
// through the sort's list by 16 bytes, or as boxes for down. Two warpgroups multiply in turns, each a whole tile, so that
// one's epilogue hides behind the other's product. Gate and up rows lie in turns of 8 in a tile (the tensor map does
// that), so that a thread holds both values of an output.
#include "activation.cuh"
#include "barrier.cuh"
#include "copy.cuh"
#include "tiles.cuh"
#include "wgmma.cuh"

#ifndef DOWN
#define DOWN 0
#endif
#ifndef TOKENS
#define TOKENS 192
#endif
#ifndef STEP
#define STEP 32
#endif
#ifndef STAGES
#define STAGES 5
#endif

constexpr int columnsPerStage = 64;
constexpr int weightTileBytes = 128 * 128;
constexpr int tokenTileBytes = TOKENS * 128;
constexpr int stageBytes = weightTileBytes + tokenTileBytes;
static_assert(tokenTileBytes % 1024 == 0, "operands begin at a group of 8 rows");
/// Of one tile: pairs of gate and up give one output.
constexpr int outputs = !DOWN && GATED ? 64 : 128;
constexpr int outputBytes = STEP * outputs * 2;
constexpr int gatherers = 128;
constexpr int maxExperts = 1024;

struct GroupedArguments {
  const u16* input;          // [tokens, columns] bf16, gathered (not for down)
  const int* offsets;        // [experts + 1]
  const int* rows;           // [pairs]: the pair of each sorted row
  const float* inputWeights; // [pairs] or null: the router's weights, where they go on the input
  const float* bias;         // [experts, 2, width] or, for down, [experts, width]; or null
  u16* output;               // bf16: [sorted rows, width] or, for down, [pairs, width]
  ActivationArguments activation;
  int experts, topK, columns, width;
};

struct Barriers {
  u64 full[STAGES], empty[STAGES];
};

/// Where in the ring a tile's stage lies; tiles have the same number of stages.
struct Position {
  int stage = 0;
  u32 phase = 0;
  __device__ void advance() {
    if (++stage == STAGES) {
      stage = 0;
      phase ^= 1;
    }
  }
  __device__ void skip(int count) {
    stage += count;
    phase ^= stage / STAGES & 1;
    stage %= STAGES;
  }
};

struct Memory {
  u32 stages, full, empty;
  __device__ u32 weights(int stage) const { return stages + stage * stageBytes; }
  __device__ u32 tokens(int stage) const { return weights(stage) + weightTileBytes; }
};

/// A stage's weights. A cluster's blocks fetch a share each, for all.
__device__ __forceinline__ void copyWeights(
  const TensorMap& map, const Memory& memory, const Position& at, int step, const Tile& tile, int member) {
  const u32 full = memory.full + at.stage * 8;
  barrier::arriveExpecting(full, weightTileBytes);
  if constexpr (CLUSTER == 1) {
    copy::box5(memory.weights(at.stage), &map, step * columnsPerStage, tile.block * 8, tile.expert, full);
  } else {
    const int group = member * (8 / CLUSTER);
    copy::box5(memory.weights(at.stage) + group * 2048, &map, step * columnsPerStage, tile.block * 8 + group, tile.expert,
               full, (1 << CLUSTER) - 1);
  }
}

/// Down's weights, which may come before the rows are there.
__device__ __forceinline__ void copyWeights(const TensorMap& map, const Memory& memory, Tiles tiles, int steps) {
  Position at;
  Tile tile;
  for (int index = firstTile(); tiles.find(index, tile); index += tileStride())
    for (int step = 0; step < steps; ++step, at.advance()) {
      barrier::wait(memory.empty + at.stage * 8, at.phase ^ 1);
      copyWeights(map, memory, at, step, tile, tiles.member);
    }
}

/// Down's rows lie one after the other.
__device__ __forceinline__ void copyRows(const TensorMap& map, const Memory& memory, Tiles tiles, int steps) {
  Position at;
  Tile tile;
  for (int index = firstTile(); tiles.find(index, tile); index += tileStride()) {
    const int boxes = ceilDivide(tile.count, STEP);
    for (int step = 0; step < steps; ++step, at.advance()) {
      barrier::wait(memory.empty + at.stage * 8, at.phase ^ 1);
      barrier::arriveExpecting(memory.full + at.stage * 8, boxes * STEP * 128);
      for (int box = 0; box < boxes; ++box)
        copy::box2(memory.tokens(at.stage) + box * STEP * 128, &map, step * columnsPerStage, tile.first + box * STEP,
                   memory.full + at.stage * 8);
    }
  }
}

/// Each thread copies 16 bytes of every 16th row; rows beyond the tile repeat its last one, up to a multiple of 64
/// (a branch for each copy costs more). It has the copies of `ahead` stages under way, and makes a stage known when its own
/// have landed and can be seen by the tensor cores.
__device__ __forceinline__ void gatherRows(
  const TensorMap& map, const GroupedArguments& p, const Memory& memory, Tiles tiles, int steps) {
  constexpr int apart = gatherers / 8, count = (TOKENS + apart - 1) / apart, ahead = 2;
  static_assert(STAGES >= ahead + 2, "the consumers hold two stages");
  const int chunk = threadIdx.x & 7, first = threadIdx.x >> 3;
  const u32 swizzled = weightTileBytes + first * 128 + ((chunk ^ (first & 7)) << 4);
  Position at, landed;
  Tile tile;
  int begun = 0;
  const auto land = [&] {
    copy::fenceEnginesShared();
    barrier::arrive(memory.full + landed.stage * 8);
    landed.advance();
  };
  for (int index = firstTile(); tiles.find(index, tile); index += tileStride()) {
    u32 source[count];  // in bytes
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = smaller(first + i * apart, tile.count - 1);
      source[i] = row < 0 ? 0 : (u32)(p.rows[tile.first + row] / p.topK) * (p.columns * 2) + chunk * 16;
    }
    for (int step = 0; step < steps; ++step, at.advance()) {
      barrier::wait(memory.empty + at.stage * 8, at.phase ^ 1);
      if (threadIdx.x == 0) copyWeights(map, memory, at, step, tile, tiles.member);
      const bool inside = step * columnsPerStage + chunk * 8 < p.columns;
      const u32 destination = memory.weights(at.stage) + swizzled;
      const u8* input = (const u8*)p.input + step * 128;
#pragma unroll
      for (int i = 0; i < count; ++i) {
        if (i % 4 == 0 && i * apart >= tile.count) break;
        copy::chunk(destination + i * apart * 128, input + source[i], inside);
      }
      copy::commit();
      if (++begun > ahead) {
        copy::wait<ahead>();
        land();
      }
    }
  }
  copy::wait<0>();
  for (int i = smaller(begun, ahead); i > 0; --i) land();
}

/// Writes 8 × 8 blocks so that each row of memory has one token's 8 outputs.
__device__ __forceinline__ void storeTransposed(u32 address, const u32 (&block)[STEP / 8]) {
  if constexpr (STEP == 32)
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(block[0]),
                 "r"(block[1]), "r"(block[2]), "r"(block[3]) : "memory");
  else if constexpr (STEP == 16)
    asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(address), "r"(block[0]),
                 "r"(block[1]) : "memory");
  else
    asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(address), "r"(block[0]) : "memory");
}

/// 64 weight rows twice, by tokens.
using Sums = float[2][TOKENS / 2];

struct Consumer {
  const GroupedArguments& p;
  const Memory& memory;
  u32 buffer;  // of this warpgroup: STEP tokens' outputs
  int steps;
  u32 turn;    // the named barrier at which this warpgroup waits for the other's last step; the other's is turn ^ 1
  Position at;

  template <int N> __device__ __forceinline__ void multiply(Sums& sums) {
    int previous = 0;
    barrier::meet(turn, 256);
    for (int step = 0; step < steps; ++step) {
      barrier::wait(memory.full + at.stage * 8, at.phase);
      const u64 weights = wgmma::descriptor(memory.weights(at.stage)), tokens = wgmma::descriptor(memory.tokens(at.stage));
      wgmma::begin();
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          wgmma::Product<N>::bf16(
            sums[half], weights + wgmma::descriptorBytes(half * 8192 + k * 32), tokens + wgmma::descriptorBytes(k * 32),
            step > 0 || k > 0);
      wgmma::commit();
      if (step + 1 == steps) barrier::come(turn ^ 1, 256);
      if (step > 0) {
        wgmma::wait<1>();
        release(previous);
      }
      previous = at.stage;
      at.advance();
    }
    wgmma::wait<0>();
    release(previous);
  }

  __device__ __forceinline__ void release(int stage) {
    if constexpr (CLUSTER == 1) {
      if (lane() == 0) barrier::arrive(memory.empty + stage * 8);
    } else {
      if (lane() < CLUSTER) barrier::arriveAt(memory.empty + stage * 8, lane());
    }
  }

  __device__ __forceinline__ void finish(const Tile& tile, Sums& sums) {
    constexpr int chunks = outputs / 8, tokensAtOnce = 128 / chunks;
    constexpr int passes = (STEP + tokensAtOnce - 1) / tokensAtOnce;
    const int thread = threadIdx.x & 127, warp = thread >> 5, g = lane() >> 2, t = lane() & 3;
    const u32 group = 4 + (threadIdx.x >> 7);
    const int firstOutput = tile.block * outputs;
    float bias[2][2] = {};
    if (p.bias)
      for (int half = 0; half < 2; ++half)
        for (int i = 0; i < 2; ++i) {
          const int row = outputs == 64 ? half * 32 + warp * 8 + g : half * 64 + warp * 16 + i * 8 + g;
          if (firstOutput + row < p.width)
            bias[half][i] = p.bias[(long long)(outputs == 64 ? tile.expert * 2 + i : tile.expert) * p.width + firstOutput + row];
        }
    const u32 swizzle = lane() & 7;
    const u32 transposed = buffer + (lane() & (STEP - 1)) * (outputs * 2);
#pragma unroll
    for (int part = 0; part < TOKENS / STEP; ++part) {
      if (part * STEP >= tile.count) break;
      int place[passes];
#pragma unroll
      for (int pass = 0; pass < passes; ++pass) {
        const int row = part * STEP + pass * tokensAtOnce + thread / chunks;
        place[pass] = row >= tile.count ? 0 : DOWN ? p.rows[tile.first + row] : tile.first + row;
      }
      if (part > 0) barrier::meet(group, 128);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        u32 packed[2][STEP / 8];
#pragma unroll
        for (int block = 0; block < STEP / 8; ++block) {
          const int j = (part * STEP / 8 + block) * 4;
          float c[4] = {sums[half][j], sums[half][j + 1], sums[half][j + 2], sums[half][j + 3]};
          if (!DOWN && p.inputWeights) scale(c, tile, part * STEP + block * 8 + t * 2);
          if (outputs == 64) {
            packed[0][block] = packBF16(activate(c[0] + bias[half][0], c[2] + bias[half][1], p.activation),
                                        activate(c[1] + bias[half][0], c[3] + bias[half][1], p.activation));
          } else {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              c[i] += bias[half][i >> 1];
              if (!DOWN) c[i] = activate(c[i], c[i], p.activation);
            }
            packed[0][block] = packBF16(c[0], c[1]);
            packed[1][block] = packBF16(c[2], c[3]);
          }
        }
        if (outputs == 64) {
          storeTransposed(transposed + ((half * 4 + warp ^ swizzle) << 4), packed[0]);
        } else {
          storeTransposed(transposed + ((half * 8 + warp * 2 ^ swizzle) << 4), packed[0]);
          storeTransposed(transposed + ((half * 8 + warp * 2 + 1 ^ swizzle) << 4), packed[1]);
        }
      }
      barrier::meet(group, 128);
#pragma unroll
      for (int pass = 0; pass < passes; ++pass) {
        const int token = pass * tokensAtOnce + thread / chunks, chunk = thread % chunks, row = part * STEP + token;
        if (token >= STEP || row >= tile.count || firstOutput + chunk * 8 >= p.width) continue;
        u16* output = p.output + (long long)place[pass] * p.width + firstOutput + chunk * 8;
        *(Words*)output = loadShared(buffer + token * (outputs * 2) + ((chunk ^ (token & 7)) << 4));
      }
    }
    barrier::meet(group, 128);
  }

  __device__ __forceinline__ void scale(float (&c)[4], const Tile& tile, int row) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float weight = row + i < tile.count ? p.inputWeights[p.rows[tile.first + row + i]] : 0.f;
      c[i] *= weight;
      c[i + 2] *= weight;
    }
  }

  /// The next smaller number of rows that has a variant of its own.
  static constexpr int fewer(int rows) { return rows > 96 ? rows - 16 : rows > 32 ? rows - STEP : rows / 2; }

  /// By the variant of the fewest rows that hold the tile.
  template <int N> __device__ __forceinline__ void multiplyLeast(Sums& sums, int count) {
    if constexpr (N > STEP)
      if (count <= fewer(N)) return multiplyLeast<fewer(N)>(sums, count);
    multiply<N>(sums);
  }
};

extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(384, 1) experts_grouped(
  const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap tokens, const __grid_constant__ GroupedArguments p) {
  extern __shared__ __align__(1024) u8 dynamic[];
  __shared__ Barriers barriers;
  __shared__ int offsets[maxExperts + 1];
  const u32 base = sharedAddress(dynamic);
  const Memory memory{base, sharedAddress(barriers.full), sharedAddress(barriers.empty)};
  const int steps = ceilDivide(p.columns, columnsPerStage), warpgroup = threadIdx.x >> 7, warp = threadIdx.x >> 5;
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; ++i) {
      barrier::initialize(sharedAddress(&barriers.full[i]), 1 + (DOWN ? 1 : gatherers));
      barrier::initialize(sharedAddress(&barriers.empty[i]), 4 * CLUSTER);
    }
    barrier::fenceInitialization();
    copy::prefetch(&weights);
  }
  // A cluster's blocks meet below, when all barriers are ready. Down may read the sort's result at once: the kernel before let it start only after the sort had ended.
  if (!DOWN) barrier::waitForPreviousKernel();
  for (int i = threadIdx.x; i <= p.experts; i += blockDim.x) offsets[i] = p.offsets[i];
  if (CLUSTER > 1) barrier::meetCluster();
  __syncthreads();
  if (!DOWN) barrier::releaseNextKernel();
  Tiles tiles(offsets, p.experts, TOKENS, ceilDivide(p.width, outputs));
  if (warpgroup == 0) {
    barrier::giveRegisters<40>();
    if (!DOWN) {
      gatherRows(weights, p, memory, tiles, steps);
    } else if (warp == 0) {
      if (lane() == 0) copyWeights(weights, memory, tiles, steps);
    } else if (warp == 1) {
      barrier::waitForPreviousKernel();
      barrier::releaseNextKernel();
      copy::fenceEngines();
      if (lane() == 0) copyRows(tokens, memory, tiles, steps);
    }
  } else {
    barrier::takeRegisters<232>();
    const int member = warpgroup - 1;
    Consumer consumer{p, memory, base + STAGES * stageBytes + member * outputBytes, steps, 2u + member};
    Tile tile;
    if (member == 1) {
      consumer.at.skip(steps);
      barrier::come(2, 256);
    }
    for (int index = firstTile() + member * tileStride(); tiles.find(index, tile); index += 2 * tileStride()) {
      Sums sums;
      consumer.multiplyLeast<TOKENS>(sums, tile.count);
      consumer.finish(tile, sums);
      consumer.at.skip(steps);
    }
  }
  // No block leaves while another may still write to it.
  if (CLUSTER > 1) {
    __syncwarp();
    barrier::meetCluster();
  }
}
