// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Synchronization
import Testing

@Suite struct PoolTests {
  /// What the bodies below share.
  final class Counters: Sendable {
    let calls = Atomic(0), early = Atomic(0), running = Atomic(0), overlaps = Atomic(0)
  }

  /// Runs `body` on `pool` with `counters` as its context.
  private func run(_ pool: Pool, _ counters: Counters, _ body: moe_pool_body) {
    unsafe moe_pool_run(pool.handle, body, Unmanaged.passUnretained(counters).toOpaque())
  }

  @Test(arguments: [1, 2, 3, 7])
  func `Every worker runs once per run, asleep or awake`(threads: Int) {
    for spin in [Int64(0), 50_000] {
      let pool = Pool(threads: threads, spinNanoseconds: spin), counters = Counters()
      #expect(unsafe Int(moe_pool_threads(pool.handle)) == threads)
      for _ in 0..<200 {
        unsafe run(pool, counters) { context, worker, threads in
          let counters = unsafe Unmanaged<Counters>.fromOpaque(context!).takeUnretainedValue()
          counters.calls.add(1 << (8 * Int(worker)), ordering: .relaxed)
        }
      }
      #expect(counters.calls.load(ordering: .relaxed) == (0..<threads).reduce(0) { $0 + 200 << (8 * $1) })
    }
  }

  @Test(arguments: [2, 5])
  func `Nobody passes a barrier before all have come`(threads: Int) {
    let pool = Pool(threads: threads), counters = Counters()
    let body: moe_pool_body = { context, worker, threads in
      let counters = unsafe Unmanaged<Counters>.fromOpaque(context!.load(as: UnsafeRawPointer.self))
        .takeUnretainedValue()
      let pool = unsafe context!.load(fromByteOffset: 8, as: OpaquePointer.self)
      for round in 1...50 {
        counters.calls.add(1, ordering: .relaxed)
        unsafe moe_pool_barrier(pool)
        if counters.calls.load(ordering: .relaxed) < round * Int(threads) { counters.early.add(1, ordering: .relaxed) }
        unsafe moe_pool_barrier(pool)
      }
    }
    let context = Memory(
      unsafe [UInt(bitPattern: Unmanaged.passUnretained(counters).toOpaque()), UInt(bitPattern: pool.handle)])
    for _ in 0..<10 {
      counters.calls.store(0, ordering: .relaxed)
      unsafe moe_pool_run(pool.handle, body, context.base)
    }
    #expect(counters.early.load(ordering: .relaxed) == 0)
  }

  @Test func `Runs from several threads follow each other`() async {
    let pool = Pool(threads: 2), counters = Counters()
    nonisolated(unsafe) let shared = pool
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<50 {
            unsafe moe_pool_run(
              shared.handle,
              { context, worker, threads in
                let counters = unsafe Unmanaged<Counters>.fromOpaque(context!).takeUnretainedValue()
                if counters.running.add(1, ordering: .relaxed).newValue > Int(threads) {
                  counters.overlaps.add(1, ordering: .relaxed)
                }
                counters.calls.add(1, ordering: .relaxed)
                counters.running.subtract(1, ordering: .relaxed)
              }, Unmanaged.passUnretained(counters).toOpaque())
          }
        }
      }
    }
    #expect(counters.calls.load(ordering: .relaxed) == 400)
    #expect(counters.overlaps.load(ordering: .relaxed) == 0)
  }

  @Test func `More threads than CPUs are not pinned, and no pool has less than one`() {
    let crowded = Pool(threads: Int(moe_available_cpus()) + 1)
    #expect(unsafe !moe_pool_is_pinned(crowded.handle))
    #expect(unsafe moe_pool_create(0, nil, nil, true, 0) == nil)
  }
}
