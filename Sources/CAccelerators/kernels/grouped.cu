// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// One product of all experts with their rows: gate and up with the activation (`DOWN` = 0), or down (`DOWN` = 1).
//
// A tile is 256 weight rows times at most `TOKENS` rows (tokens). Blocks stay and take tile after tile. One warpgroup copies; two
// multiply, of which the second begins some stages behind the first: as long as neither waits for copies, one's epilogue hides
// behind the other's product.
// Weights are the left operand, so that a tile's rows may be any multiple of `STEP`, and each warpgroup has half of the weight
// rows; only with e4m3 in blocks tokens are the left operand (`scaled_product.cuh`).
// Gate and up rows lie in turns of 8 in a tile (the tensor map does that), so that a thread holds both values of an output.
#include "weights.cuh"
#if WEIGHTS == E4M3_BLOCK
#include "scaled_epilogue.cuh"
#elif NARROW
#include "narrow_product.cuh"
#else
#include "coded_product.cuh"
#include "epilogue.cuh"
#endif
#include "producers.cuh"
#include "wgmma.cuh"

/// So that nothing spills; together as many as a block begins with.
constexpr int copierRegisters = tokensHaveFactors ? 40 : 56;
constexpr int consumerRegisters = 252 - copierRegisters / 2;
static_assert(consumerRegisters % 8 == 0, "registers move by eights");

using GroupedArguments = moe_hopper_grouped_arguments;

#if WEIGHTS != E4M3_BLOCK
/// A warpgroup's products.
struct Consumer {
  const GroupedArguments& p;
  const Memory& memory;
  int steps, member;
  Position at;

#if WEIGHTS == BF16
  template <int N> __device__ __forceinline__ void multiply(Sums& sums, const Tile&) {
    int previous = 0;
    for (int step = 0; step < steps; ++step) {
      memory.waitUntilFull(at);
      const u32 weights = memory.weights(at.stage) + member * 128 * operandWidth;
      const u64 tokens = wgmma::descriptor(memory.tokens(at.stage));
      wgmma::begin();
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          wgmma::Product<N>::bf16(sums[half], wgmma::halfOf(weights, half) + wgmma::descriptorBytes(k * 32),
                                  tokens + wgmma::descriptorBytes(k * 32), step > 0 || k > 0);
      wgmma::commit();
      if (step > 0) {
        wgmma::wait<1>();
        memory.release(previous);
      }
      previous = at.stage;
      at.advance();
    }
    wgmma::wait<0>();
    memory.release(previous);
    wgmma::hold(sums[0]);
    wgmma::hold(sums[1]);
  }
#elif NARROW
  template <int N> __device__ __forceinline__ void multiply(Sums& sums, const Tile&) {
    NarrowProduct{memory, at, steps, member}.multiply<N>(sums);
  }
#elif TILED
  template <int N> __device__ __forceinline__ void multiply(Sums& sums, const Tile&) {
    CodedProduct{memory, at, steps, member}.multiply<N>(sums);
  }
#endif

  /// Leaves a tile to the other warpgroup: none of its weight rows are this one's.
  __device__ __forceinline__ void pass() {
    for (int step = 0; step < steps; ++step, at.advance()) {
      memory.waitUntilFull(at);
      memory.release(at.stage);
    }
  }

  /// The fewest rows that have a variant of their own.
  static constexpr int leastRows = rowsAreLoaded ? 8 : STEP > 16 ? STEP : 16;
  /// The next smaller number of rows that has a variant of its own.
  static constexpr int fewer(int rows) {
    // A variant's first tile waits for its instructions; of long ones that costs more than products of rows that are none.
    if (NARROW) return rows > 64 ? rows - 32 : rows / 2;
    return rows > 96 ? rows - (TILED ? 16 : 8) : rows > 64 ? rows - 16 : rows > 32 ? rows - 32 : rows / 2;
  }

  /// By the variant of the fewest rows that hold the tile.
  template <int N = TOKENS> __device__ __forceinline__ void multiplyTile(Sums& sums, const Tile& tile) {
    if constexpr (N > leastRows)
      if (tile.count <= fewer(N)) return multiplyTile<fewer(N)>(sums, tile);
    multiply<N>(sums, tile);
  }
};
#endif

#if CLUSTER > 1
#define IN_CLUSTERS __cluster_dims__(CLUSTER)
#else
#define IN_CLUSTERS
#endif

extern "C" __global__ void IN_CLUSTERS __launch_bounds__(copiers + 256, 1) experts_grouped(
  const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap tokens, const __grid_constant__ GroupedArguments p) {
  extern __shared__ __align__(1024) u8 dynamic[];
  __shared__ Barriers barriers;
  __shared__ TileTable table;
  __shared__ Tile dealt[tileSlots];
  const u32 barrierAddress = uniform(sharedAddress(&barriers));
  const Memory memory{
    uniform(sharedAddress(dynamic)), barrierAddress, dealt, CLUSTER == 1 ? 0 : barrier::inBlock(barrierAddress, lane() % CLUSTER)};
  const int steps = stepsOf(p.sources), warpgroup = uniform(threadIdx.x >> 7), warp = uniform(threadIdx.x >> 5);
  if (threadIdx.x == 0) {
    barriers.initialize();
    copy::prefetch(&weights);
  }
  // Down may read the sort's result at once: the kernel before let it start only after the sort had ended.
  if (!DOWN) barrier::waitForPreviousKernel();
  table.fill(p.offsets, p.experts);
  // Before one block's copies and releases reach another's barriers.
  if (CLUSTER > 1) barrier::meetCluster();
  if (!DOWN) barrier::releaseNextKernel();
  if (warpgroup == 0) {
    barrier::giveRegisters<copierRegisters>();
    const TileDealer dealer{memory, Tiles(table, p.experts, ceilDivide(p.results.width, tileOutputs)), &p.grid->drawn[DOWN]};
    const ScaleCopier scales{p.sources, p.expertBytes, p.results.width};
    if (!DOWN) {
      if (threadIdx.x < gatherers) gatherRows(weights, p.sources, scales, memory, dealer);
    } else if (warp == 0) {
      if (lane() == 0) copyWeights(weights, memory, dealer, steps);
    } else if (warp == 1) {
      barrier::waitForPreviousKernel();
      barrier::releaseNextKernel();
      copy::fenceEngines();
      if (lane() == 0) copyRows(tokens, memory, steps);
    } else if (tokensAreScaled) {
      barrier::waitForPreviousKernel();
      copyScales(scales, memory, steps);
    }
  } else {
    barrier::takeRegisters<consumerRegisters>();
    const int member = warpgroup - 1;
    Consumer consumer{p, memory, steps, member};
    Epilogue epilogue = Epilogue::of(p, memory, member);
    TileTaker taker{memory};
    bool begins = member == 1 && steps > surelyFull;
    for (Tile tile = taker.next(); tile.count > 0; tile = taker.next()) {
      if (begins) barrier::wait(memory.full(surelyFull), 0);
      begins = false;
#if WEIGHTS != E4M3_BLOCK
      if (tile.block * tileOutputs + member * outputs >= p.results.width) {
        consumer.pass();
        continue;
      }
#endif
      epilogue.begin(tile);
      Sums sums;
      consumer.multiplyTile(sums, tile);
      epilogue.finish(tile, sums);
    }
  }
  // A block's shared memory stays as long as others copy to it and release its stages.
  if (CLUSTER > 1) barrier::meetCluster();
}
