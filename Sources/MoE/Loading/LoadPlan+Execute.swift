// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Synchronization
internal import Tensors

/// How far a load is.
public struct LoadProgress: Sendable {
  public var expertsLoaded: Int
  public var expertCount: Int
  public var bytesRead: Int
  public var bytesToRead: Int
}

extension LoadPlan {
  /// Reads every slot and stores it, expert by expert, on the workers of `pool`.
  ///
  /// Each worker holds the bytes of one expert at a time.
  ///
  /// - Parameter progress: called after each expert, from any worker, one call at a time.
  /// - Throws: the faults of all experts that failed.
  public func execute<B: Backend>(
    from catalog: TensorCatalog, into storage: B.Storage, of backend: B, pool: WorkerPool = .shared,
    progress: (@Sendable (LoadProgress) -> Void)? = nil
  ) throws(MoEError) {
    let faults = Mutex<[Fault]>([])
    let stagings = BufferCache()
    let done = Mutex(
      LoadProgress(expertsLoaded: 0, expertCount: slots.count, bytesRead: 0, bytesToRead: bytesToRead))
    pool.forEach(slots.count) { index in
      do throws(MoEError) {
        let staging = stagings.take(byteCount: scratchBytes(slots[index]))
        defer { stagings.give(staging) }
        try unsafe store(slots[index], by: staging, into: storage, of: backend, Self.reader(catalog))
      } catch {
        faults.withLock { $0 += error.faults.map { Self.inFile($0, of: catalog) } }
        return
      }
      done.withLock {
        $0.expertsLoaded += 1
        $0.bytesRead += slots[index].bytesToRead
        progress?($0)
      }
    }
    let found = faults.withLock { $0 }
    guard found.isEmpty else { throw MoEError(found) }
  }

  /// The fault of a tensor with the path of its file.
  private static func inFile(_ fault: Fault, of catalog: TensorCatalog) -> Fault {
    var fault = fault
    fault.file = fault.file ?? fault.subject.flatMap { catalog[$0] }.map { catalog.path(of: $0) }
    return fault
  }

  /// Brings one expert into its slot.
  ///
  /// - Parameter scratch: at least ``scratchBytes(_:)``.
  func store<B: Backend>(
    _ slot: Slot, by scratch: HostBuffer, into storage: B.Storage, of backend: B, _ read: Transfer.Reader
  ) throws(MoEError) {
    var used = 0
    let parameters = try unsafe slot.parameters(in: scratch.bytes, used: &used, read)
    try unsafe backend.store(
      padded(parameters, scratch: scratch.bytes, used: used), slot: slot.slot, in: storage)
  }
}
