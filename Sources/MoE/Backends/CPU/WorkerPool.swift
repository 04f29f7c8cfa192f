// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels
internal import Synchronization
internal import Tensors

/// The threads that the CPU backend computes and loads on: pinned, awake for microseconds between calls, then asleep.
///
/// On a machine with several NUMA nodes (``Topology``) workers read the slices of experts that are near to them.
/// Ranks on one host share its processors: each takes its part of them, one rank after the other. Where all ranks
/// together have more workers than there are processors, none is pinned and none waits awake.
@safe
public final class WorkerPool: @unchecked Sendable {
  let handle: OpaquePointer

  /// ``defaultThreadCount`` workers.
  public static let shared = WorkerPool(threads: defaultThreadCount)!

  /// The processors in the affinity mask divided by the ranks on this host, at least 1.
  public static var defaultThreadCount: Int { max(1, availableProcessors / (Launcher.current?.localSize ?? 1)) }

  /// Processors in the affinity mask of the calling thread.
  public static var availableProcessors: Int { max(1, Int(moe_available_cpus())) }

  public var threadCount: Int { unsafe Int(moe_pool_threads(handle)) }

  /// Whether every worker stays on a processor of its own: never with more workers than processors.
  public var isPinned: Bool { unsafe moe_pool_is_pinned(handle) }

  /// Nodes that workers are divided among; 1 where none is pinned.
  public var nodeCount: Int { unsafe Int(moe_pool_nodes(handle)) }

  /// Nanoseconds a worker waits awake.
  private static let spinTime: Int64 = 50_000

  /// - Returns: nil when `threads` is below 1 or the system refuses to start them.
  public init?(threads: Int, topology: Topology = .current) {
    guard let count = Int32(exactly: threads), count > 0 else { return nil }
    let (ranks, rank) = Launcher.current.map { ($0.localSize, $0.localRank) } ?? (1, 0)
    let places = topology.places(workers: threads, rank: rank, of: ranks)
    let spinTime = places == nil ? 0 : Self.spinTime
    guard
      let handle = unsafe moe_pool_create(
        count, places?.map(\.processor), places?.map(\.node), places != nil, spinTime)
    else { return nil }
    unsafe self.handle = handle
  }

  deinit { unsafe moe_pool_destroy(handle) }

  /// Calls `body` for 0 ..< count, shared out among the workers, and returns when all calls have.
  package func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      let work = SharedWork(count: count, body: body)
      unsafe moe_pool_run(
        handle,
        { context, _, _ in
          let work = unsafe Unmanaged<SharedWork>.fromOpaque(context!).takeUnretainedValue()
          while let index = work.next() { work.body(index) }
        }, Unmanaged.passUnretained(work).toOpaque())
    }
  }

  /// `forEach` of what may fail: all calls are made, and the faults of all are thrown as one error.
  package func tryForEach(
    _ count: Int, _ body: @Sendable (Int) throws(MoEError) -> Void
  ) throws(MoEError) {
    let faults = Mutex<[Fault]>([])
    forEach(count) { index in
      do throws(MoEError) {
        try body(index)
      } catch {
        faults.withLock { $0 += error.faults }
      }
    }
    let found = faults.withLock { $0 }
    guard found.isEmpty else { throw MoEError(found) }
  }

  /// What `body` returns for 0 ..< count; throws as `tryForEach` does.
  package func tryMap<Result: Sendable>(
    _ count: Int, _ body: @Sendable (Int) throws(MoEError) -> Result
  ) throws(MoEError) -> [Result] {
    let results = Mutex([Result?](repeating: nil, count: count))
    try tryForEach(count) { (index) throws(MoEError) in
      let result = try body(index)
      results.withLock { $0[index] = result }
    }
    return results.withLock { $0.compactMap(\.self) }
  }
}
