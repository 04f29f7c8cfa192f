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
  /// Reads every slot and stores it, in parts that the workers of `pool` take in turns.
  ///
  /// Each worker holds the bytes of at most one matrix at a time; see ``peakBytes(workers:)``.
  ///
  /// - Parameter progress: called after each expert, from any worker, one call at a time.
  /// - Throws: the faults of all experts that failed.
  public func execute<B: Backend>(
    from catalog: TensorCatalog, into storage: B.Storage, of backend: B, pool: WorkerPool = .shared,
    progress: (@Sendable (LoadProgress) -> Void)? = nil
  ) throws(MoEError) {
    do throws(MoEError) {
      try unsafe execute(reading: Self.reader(catalog), into: storage, of: backend, pool, progress)
    } catch {
      throw MoEError(error.faults.map { Self.inFile($0, of: catalog) })
    }
  }

  /// The same with tensors that are in memory, whole and without gaps, by name.
  ///
  /// - Throws: also `missingTensor` and `sizeMismatch` for tensors that are not as the plan says.
  @unsafe
  public func execute<B: Backend>(
    from tensors: [String: UnsafeRawBufferPointer], into storage: B.Storage, of backend: B,
    pool: WorkerPool = .shared
  ) throws(MoEError) {
    let read = Set(slots.flatMap(\.transfers).flatMap(\.reads).map(\.piece.tensor))
    let faults = read.sorted { $0.name < $1.name }.compactMap { tensor -> Fault? in
      let found = unsafe tensors[tensor.name]?.count
      guard found != tensor.byteCount else { return nil }
      return Fault(
        found == nil ? .missingTensor : .sizeMismatch, "a tensor of the experts is not in memory",
        subject: tensor.name, expected: "\(tensor.elementType) \(tensor.shape), \(tensor.byteCount) bytes",
        found: found.map { "\($0) bytes" })
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    nonisolated(unsafe) let memory = unsafe tensors
    try unsafe execute(
      reading: { piece, run, target in
        unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[piece.tensor.name]![run]))
      }, into: storage, of: backend, pool, nil)
  }

  private func execute<B: Backend>(
    reading read: Transfer.SharedReader, into storage: B.Storage, of backend: B, _ pool: WorkerPool,
    _ progress: (@Sendable (LoadProgress) -> Void)?
  ) throws(MoEError) {
    var wrongScales: [Fault] = []
    do throws(MoEError) {
      if let scales = try unsafe inputScales(read) { try backend.setInputScales(scales, in: storage) }
    } catch {
      // The rank's own scales are looked at with its weights; all that is wrong is told once.
      wrongScales = error.faults
    }
    var work: [(slot: Int, transfer: Transfer)] = []
    var counts: [Int] = []
    for (index, slot) in slots.enumerated() {
      try backend.begin(slot.slot, in: storage)
      let parts = self.parts(of: slot)
      work += parts.map { (index, $0) }
      counts.append(parts.count)
    }
    let parts = work
    let state = Mutex(
      LoadState(
        waiting: counts,
        progress: LoadProgress(
          expertsLoaded: 0, expertCount: slots.count, bytesRead: inputScaleBytes, bytesToRead: bytesToRead)))
    let scratches = BufferCache()
    pool.forEach(parts.count) { index in
      let (slot, transfer) = parts[index]
      do throws(MoEError) {
        let scratch = scratches.take(byteCount: transfer.scratchBytes)
        defer { scratches.give(scratch) }
        try unsafe store(transfer, slots[slot].slot, by: scratch, into: storage, of: backend, read)
        let isLast = state.withLock { state in
          state.waiting[slot] -= 1
          return state.waiting[slot] == 0
        }
        if isLast { try backend.finish(slots[slot].slot, in: storage) }
        guard isLast else { return }
      } catch {
        state.withLock { $0.faults += error.faults }
        return
      }
      state.withLock { state in
        state.progress.expertsLoaded += 1
        state.progress.bytesRead += slots[slot].bytesToRead
        progress?(state.progress)
      }
    }
    let found =
      wrongScales
      + state.withLock { $0.faults }.filter { fault in
        !wrongScales.contains { ($0.code, $0.subject) == (fault.code, fault.subject) }
      }
    guard found.isEmpty else { throw MoEError(found) }
  }

  private struct LoadState {
    /// Parts that each slot still waits for.
    var waiting: [Int]
    var progress: LoadProgress
    var faults: [Fault] = []
  }

  /// The fault of a tensor with the path of its file.
  private static func inFile(_ fault: Fault, of catalog: TensorCatalog) -> Fault {
    var fault = fault
    fault.file = fault.file ?? fault.subject.flatMap { catalog[$0] }.map { catalog.path(of: $0) }
    return fault
  }

  /// Brings the rows of a transfer into a slot that was begun.
  ///
  /// - Parameter scratch: at least the transfer's ``Transfer/scratchBytes``.
  func store<B: Backend>(
    _ transfer: Transfer, _ slot: LocalExpert, by scratch: HostBuffer, into storage: B.Storage, of backend: B,
    _ read: Transfer.Reader
  ) throws(MoEError) {
    try unsafe transfer.load(scratch: scratch.bytes, read) { (slice) throws(MoEError) in
      try padded(slice) { (slice) throws(MoEError) in try backend.store(slice, slot: slot, in: storage) }
    }
  }
}
