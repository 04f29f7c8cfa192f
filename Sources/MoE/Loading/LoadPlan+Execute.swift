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
        let staging = stagings.take(byteCount: slots[index].stagingBytes)
        defer { stagings.give(staging) }
        try load(slots[index], by: staging, from: catalog, into: storage, of: backend)
      } catch {
        faults.withLock { $0 += error.faults }
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

  private func load<B: Backend>(
    _ slot: Slot, by staging: HostBuffer, from catalog: TensorCatalog, into storage: B.Storage, of backend: B
  ) throws(MoEError) {
    var parameters = ExpertParameters()
    var offset = 0
    for read in slot.reads {
      let bytes = unsafe UnsafeMutableRawBufferPointer(
        rebasing: staging.bytes[offset..<offset + read.byteRange.count])
      do throws(CheckpointError) {
        unsafe try catalog.read(read.transfers[0].tensor, range: read.byteRange, into: bytes)
      } catch {
        throw MoEError(error.faults)
      }
      for transfer in read.transfers {
        let slice = transfer.slice
        parameters[transfer.projection, transfer.role] = unsafe ParameterView(
          base: UnsafeRawPointer(bytes.baseAddress! + (transfer.byteRange.lowerBound - read.byteRange.lowerBound)),
          elementType: transfer.tensor.elementType, rows: slice.rows, columns: slice.columns,
          rowStride: slice.rowStride, columnStride: slice.columnStride)
      }
      offset += read.byteRange.count
    }
    offset = slot.decodedOffset
    for decode in slot.decodes {
      let region = unsafe staging.bytes[offset..<offset + decode.decodedByteCount]
      let floats = unsafe UnsafeMutableRawBufferPointer(rebasing: region).bindMemory(to: Float.self)
      parameters[decode.projection, .weight] = try unsafe decode.load(from: catalog, into: floats)
      offset += decode.decodedByteCount
    }
    try backend.store(parameters, slot: slot.slot, in: storage)
  }
}
