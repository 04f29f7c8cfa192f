// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels

/// The threads that the CPU backend computes and loads on: pinned, awake for microseconds between calls, then asleep.
///
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

  /// Nanoseconds a worker waits awake.
  private static let spinTime: Int64 = 50_000

  /// - Returns: nil when `threads` is below 1 or the system refuses to start them.
  public init?(threads: Int) {
    guard let count = Int32(exactly: threads), count > 0 else { return nil }
    let processors = Self.processors(for: threads)
    let spinTime = processors == nil ? 0 : Self.spinTime
    guard let handle = unsafe moe_pool_create(count, processors, processors != nil, spinTime) else { return nil }
    unsafe self.handle = handle
  }

  deinit { unsafe moe_pool_destroy(handle) }

  /// This rank's part of the processors for so many workers on each rank of this host; nil when there are too few.
  private static func processors(for threads: Int) -> [Int32]? {
    let (ranks, rank) = Launcher.current.map { ($0.localSize, $0.localRank) } ?? (1, 0)
    var processors = [Int32](repeating: 0, count: availableProcessors)
    let count = unsafe moe_available_cpu_list(&processors, Int32(processors.count))
    let (end, overflow) = threads.multipliedReportingOverflow(by: max(ranks, rank + 1))
    guard !overflow, end <= count else { return nil }
    return Array(processors[threads * rank..<threads * (rank + 1)])
  }

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
}
