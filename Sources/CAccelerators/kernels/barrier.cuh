// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Waiting: for copies (mbarrier), for warps (named barriers), for the whole grid, and for the kernel before.
#pragma once
#include "common.cuh"
#include "moe_hopper.h"

namespace barrier {

__device__ __forceinline__ void initialize(u32 address, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address), "r"(count) : "memory");
}
/// Makes initialised barriers visible to the copy engine.
__device__ __forceinline__ void fenceInitialization() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

__device__ __forceinline__ void arrive(u32 address) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address) : "memory");
}
/// Arrives, and announces that `bytes` will be copied.
__device__ __forceinline__ void arriveExpecting(u32 address, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address), "r"(bytes) : "memory");
}
__device__ __forceinline__ void wait(u32 address, u32 parity) {
  asm volatile(
    "{\n .reg .pred done;\n"
    "again:\n mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
    " @!done bra again;\n}\n" ::"r"(address), "r"(parity) : "memory");
}

/// Where another block of the cluster has what this block has at `address`.
__device__ __forceinline__ u32 inBlock(u32 address, u32 block) {
  u32 mapped;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(block));
  return mapped;
}
/// Of a block of the cluster: `address` is from `inBlock`. What was written before may not be seen after.
__device__ __forceinline__ void arriveInCluster(u32 address) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(address) : "memory");
}
/// So that who waits by `waitInCluster` sees what was written before.
__device__ __forceinline__ void arriveReleasing(u32 address) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(address) : "memory");
}
__device__ __forceinline__ void waitInCluster(u32 address, u32 parity) {
  asm volatile(
    "{\n .reg .pred done;\n"
    "again:\n mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
    " @!done bra again;\n}\n" ::"r"(address), "r"(parity) : "memory");
}
/// Waits until all threads of the cluster's blocks have come.
__device__ __forceinline__ void meetCluster() {
  asm volatile("barrier.cluster.arrive;\nbarrier.cluster.wait;" ::: "memory");
}

/// Waits until `threads` threads have come to named barrier `id`.
__device__ __forceinline__ void meet(u32 id, u32 threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

using Grid = moe_hopper_grid;
/// What a block's arrival can't change: the top bit turns when all have come.
__device__ __forceinline__ u32 generation(const Grid* grid) {
  u32 value;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(&grid->arrivals) : "memory");
  return value & 1u << 31;
}
/// One thread for each block, after its block's writes. The first block adds what the others lack to 2³¹, so that who waits
/// looks at what the last one to come writes, whatever the number of blocks before.
__device__ __forceinline__ void arriveAtGrid(Grid* grid) {
  const u32 add = blockIdx.x == 0 ? (1u << 31) - (gridDim.x - 1) : 1;
  asm volatile("red.add.release.gpu.global.u32 [%0], %1;" ::"l"(&grid->arrivals), "r"(add) : "memory");
}
/// `before` is the generation read ahead of this block's arrival.
__device__ __forceinline__ void waitForGrid(const Grid* grid, u32 before) {
  u32 now;
  do {
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(&grid->arrivals) : "memory");
  } while ((now & 1u << 31) == before);
}

/// Waits until the kernel before has finished and its writes can be seen (programmatic dependent launch).
__device__ __forceinline__ void waitForPreviousKernel() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
/// Lets the kernel after start: call it after `waitForPreviousKernel`.
__device__ __forceinline__ void releaseNextKernel() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

/// Moves registers between the warpgroups of a block: every warp of the group calls it.
template <int count> __device__ __forceinline__ void giveRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count> __device__ __forceinline__ void takeRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}

}  // namespace barrier
