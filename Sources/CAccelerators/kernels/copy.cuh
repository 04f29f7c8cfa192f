// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// From device memory to shared memory: by thread, by row, by box.
#pragma once
#include "common.cuh"

/// The driver's `CUtensorMap`, opaque here: passed by value as a `__grid_constant__` parameter.
struct alignas(64) TensorMap {
  u64 opaque[16];
};

namespace copy {

/// 16 bytes, past L1, or 16 zeros without a source to read.
__device__ __forceinline__ void chunk(u32 destination, const void* source, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(destination), "l"(source), "r"(there ? 16 : 0)
               : "memory");
}

/// 4 bytes.
__device__ __forceinline__ void word(u32 destination, const void* source) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(destination), "l"(source) : "memory");
}

/// Arrives when this thread's chunks and words so far have landed, without a wait for them.
__device__ __forceinline__ void arriveWhenLanded(u32 barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

/// Closes a group of this thread's chunks.
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Until at most `pending` of this thread's groups are under way.
template <int pending> __device__ __forceinline__ void wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

/// A run of bytes, a multiple of 16, both ends aligned to 16.
__device__ __forceinline__ void row(u32 destination, const void* source, u32 bytes, u32 barrier) {
  asm volatile(
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(destination),
    "l"(source), "r"(bytes), "r"(barrier) : "memory");
}

/// Keeps weights, which are read once, from displacing what is read again.
__device__ __forceinline__ u64 readOncePolicy() {
  u64 policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
__device__ __forceinline__ void row(u32 destination, const void* source, u32 bytes, u32 barrier, u64 policy) {
  asm volatile(
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(
      destination),
    "l"(source), "r"(bytes), "r"(barrier), "l"(policy) : "memory");
}

__device__ __forceinline__ void prefetch(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
__device__ __forceinline__ void box2(u32 destination, const TensorMap* map, int x, int y, u32 barrier) {
  asm volatile(
    "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
      destination),
    "l"(map), "r"(x), "r"(y), "r"(barrier) : "memory");
}
__device__ __forceinline__ void box3(u32 destination, const TensorMap* map, int x, int y, int z, u32 barrier, u64 policy) {
  asm volatile(
    "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%2, %3, %4}], "
    "[%5], %6;" ::"r"(destination),
    "l"(map), "r"(x), "r"(y), "r"(z), "r"(barrier), "l"(policy) : "memory");
}
__device__ __forceinline__ void box5(u32 destination, const TensorMap* map, int x, int y, int group, int expert, u32 barrier) {
  asm volatile(
    "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4, %5, %6}], "
    "[%7];" ::"r"(destination),
    "l"(map), "r"(x), "r"(y), "r"(0), "r"(group), "r"(expert), "r"(barrier) : "memory");
}

/// To the same place in all of `blocks` (a bit for each) of the cluster, whose barriers at the same place count the bytes.
__device__ __forceinline__ void box5(
  u32 destination, const TensorMap* map, int x, int y, int group, int expert, u32 barrier, u16 blocks) {
  asm volatile(
    "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
    "[%0], [%1, {%2, %3, %4, %5, %6}], [%7], %8;" ::"r"(destination),
    "l"(map), "r"(x), "r"(y), "r"(0), "r"(group), "r"(expert), "r"(barrier), "h"(blocks) : "memory");
}

/// Orders this thread's view of memory between ordinary accesses and the copy engine's or the tensor cores': of device memory, and
/// of shared memory.
__device__ __forceinline__ void fenceEngines() { asm volatile("fence.proxy.async.global;" ::: "memory"); }
__device__ __forceinline__ void fenceEnginesShared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

}  // namespace copy
