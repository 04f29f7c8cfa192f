// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels

/// The threads that the CPU backend computes and loads on: pinned, awake for microseconds between calls, then asleep.
@safe
public final class WorkerPool: @unchecked Sendable {
  let handle: OpaquePointer

  /// One worker for each processor in the affinity mask.
  public static let shared = WorkerPool(threads: availableProcessors)!

  /// Processors in the affinity mask of the calling thread.
  public static var availableProcessors: Int { max(1, Int(moe_available_cpus())) }

  public var threadCount: Int { unsafe Int(moe_pool_threads(handle)) }

  /// Whether every worker stays on a processor of its own: never with more workers than processors.
  public var isPinned: Bool { unsafe moe_pool_is_pinned(handle) }

  /// Nanoseconds a worker waits awake.
  private static let spinTime: Int64 = 50_000

  /// - Returns: nil when `threads` is below 1 or the system refuses to start them.
  public init?(threads: Int) {
    guard let count = Int32(exactly: threads), count > 0,
      let handle = unsafe moe_pool_create(count, nil, true, Self.spinTime)
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
}
