// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// One product of all experts with their rows: gate and up with the activation (`DOWN` = 0), or down (`DOWN` = 1).
//
// A tile is 256 weight rows times at most `TOKENS` rows (tokens). Blocks stay and take tile after tile. One warpgroup copies; two
// multiply, of which the second begins some stages behind the first, so that one's epilogue hides behind the other's product.
// Weights are the left operand, so that a tile's rows may be any multiple of `STEP`, and each warpgroup has half of the weight
// rows; only with e4m3 in blocks tokens are the left operand (`scaled_product.cuh`).
// Gate and up rows lie in turns of 8 in a tile (the tensor map does that), so that a thread holds both values of an output.
#include "weights.cuh"
#if WEIGHTS == E4M3_BLOCK
#include "scaled_epilogue.cuh"
#else
#include "epilogue.cuh"
#endif
#include "producers.cuh"
#include "wgmma.cuh"

constexpr int maxExperts = MOE_HOPPER_EXPERTS;
/// So that nothing spills; together as many as a block begins with.
constexpr int copierRegisters = DOWN && WEIGHTS != BF16 ? 56 : 40;
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

  __device__ u64 weights(int half) const {
    return wgmma::descriptor(memory.weights(at.stage) + (member * 2 + half) * 64 * operandWidth);
  }

#if WEIGHTS == BF16
  template <int N> __device__ __forceinline__ void multiply(Sums& sums, const Tile&) {
    int previous = 0;
    for (int step = 0; step < steps; ++step) {
      memory.waitUntilFull(at);
      const u64 tokens = wgmma::descriptor(memory.tokens(at.stage));
      wgmma::begin();
#pragma unroll
      for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          wgmma::Product<N>::bf16(sums[half], weights(half) + wgmma::descriptorBytes(k * 32),
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
#elif TILED
  /// Codes become bf16 in registers, 32 columns of 64 rows at a time, while the tensor cores multiply those before.
  template <int N> __device__ __forceinline__ void multiply(Sums& sums, const Tile&) {
    const int warp = threadIdx.x >> 5 & 3;
    for (int step = 0; step < steps; ++step) {
      memory.waitUntilFull(at);
      const u64 tokens = wgmma::descriptor(memory.tokens(at.stage));
      const auto tile = [&](int half, int i) {
        return memory.weights(at.stage) + (((member * 2 + half) * 4 + warp) * 2 + i) * codes::tileBytes;
      };
      Words part[2][2];
      codes::Scales scales[2][2];
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int i = 0; i < 2; ++i) scales[half][i] = codes::loadScales(tile(half, i));
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          if (j * codes::parts % 4 == 0) {
#pragma unroll
            for (int i = 0; i < 2; ++i) part[half][i] = codes::load(tile(half, i), j * codes::parts / 4);
          }
          if (j > 0) wgmma::wait<1>();
          u32 fragments[2][4];
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            u32 wide[4];
            codes::widen(part[half][i], scales[half][i], j, wide);
#pragma unroll
            for (int k = 0; k < 4; ++k) fragments[k >> 1][(k & 1) * 2 + i] = wide[k];
          }
          wgmma::begin();
#pragma unroll
          for (int k = 0; k < 2; ++k)
            wgmma::Product<N>::bf16(
              sums[half], fragments[k],
              tokens + wgmma::descriptorBytes((j >> 1) * tokenPartBytes + ((j & 1) * 2 + k) * 32), step > 0 || j > 0 || k > 0);
          wgmma::commit();
        }
      wgmma::wait<0>();
      memory.release(at.stage);
      at.advance();
    }
    wgmma::hold(sums[0]);
    wgmma::hold(sums[1]);
  }
#endif

  /// The next smaller number of rows that has a variant of its own.
  static constexpr int fewer(int rows) { return rows > 96 ? rows - 16 : rows > 32 ? rows - 32 : rows / 2; }

  /// By the variant of the fewest rows that hold the tile.
  template <int N = TOKENS> __device__ __forceinline__ void multiplyTile(Sums& sums, const Tile& tile) {
    if constexpr (N > STEP && N > 16)
      if (tile.count <= fewer(N)) return multiplyTile<fewer(N)>(sums, tile);
    multiply<N>(sums, tile);
  }
};
#endif

extern "C" __global__ void __launch_bounds__(copiers + 256, 1) experts_grouped(
  const __grid_constant__ TensorMap weights, const __grid_constant__ TensorMap tokens, const __grid_constant__ GroupedArguments p) {
  extern __shared__ __align__(1024) u8 dynamic[];
  __shared__ Barriers barriers;
  __shared__ int offsets[maxExperts + 1];
  const Memory memory{sharedAddress(dynamic), sharedAddress(&barriers)};
  const int steps = stepsOf(p.sources), warpgroup = threadIdx.x >> 7, warp = threadIdx.x >> 5;
  if (threadIdx.x == 0) {
    barriers.initialize();
    copy::prefetch(&weights);
  }
  // Down may read the sort's result at once: the kernel before let it start only after the sort had ended.
  if (!DOWN) barrier::waitForPreviousKernel();
  for (int i = threadIdx.x; i <= p.experts; i += blockDim.x) offsets[i] = p.offsets[i];
  __syncthreads();
  if (!DOWN) barrier::releaseNextKernel();
  Tiles tiles(offsets, p.experts, ceilDivide(p.results.width, tileOutputs));
  if (warpgroup == 0) {
    barrier::giveRegisters<copierRegisters>();
    const ScaleCopier scales{p.sources, p.expertBytes, p.results.width};
    if (!DOWN) {
      gatherRows(weights, p.sources, scales, memory, tiles);
    } else if (warp == 0) {
      if (lane() == 0) copyWeights(weights, memory, tiles, steps);
    } else if (warp == 1) {
      barrier::waitForPreviousKernel();
      barrier::releaseNextKernel();
      copy::fenceEngines();
      if (lane() == 0) copyRows(tokens, memory, tiles, steps);
    } else if (tokensAreScaled) {
      barrier::waitForPreviousKernel();
      copyScales(scales, memory, tiles, steps);
    }
  } else {
    barrier::takeRegisters<consumerRegisters>();
    const int member = warpgroup - 1;
    Consumer consumer{p, memory, steps, member};
    Epilogue epilogue = Epilogue::of(p, memory, member);
    Tile tile;
    bool begins = member == 1 && steps > surelyFull;
    for (int index = firstTile(); tiles.find(index, tile); index += tileStride()) {
      if (begins) barrier::wait(memory.full(surelyFull), 0);
      begins = false;
      epilogue.begin(tile);
      Sums sums;
      consumer.multiplyTile(sums, tile);
      epilogue.finish(tile, sums);
    }
  }
}
