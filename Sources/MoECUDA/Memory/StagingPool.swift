// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Synchronization

/// Pinned host memory on the way to a device, with a queue of its own.
@safe
final class Staging: @unchecked Sendable {
  let queue: CUDAQueue
  let bytes: UnsafeMutableRawBufferPointer

  /// What a worker packs before it is copied: large enough for the full speed of the bus.
  static let byteCount = 4 << 20

  init(on device: CUDADevice) throws(MoEError) {
    queue = try CUDAQueue(on: device)
    var base: UnsafeMutableRawPointer?
    try device.call("cuMemHostAlloc") { unsafe $0.allocate_host(&base, Self.byteCount, 0) }
    unsafe bytes = UnsafeMutableRawBufferPointer(start: base, count: Self.byteCount)
  }

  deinit {
    let base = unsafe bytes.baseAddress!
    try? queue.device.call("cuMemFreeHost") { unsafe $0.free_host(base) }
  }

  /// Copies the first bytes to a buffer and waits, so that they may be written again.
  func flush(_ count: Int, to buffer: CUDABuffer, at offset: Int) throws(MoEError) {
    try unsafe buffer.upload(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: offset, on: queue)
    try queue.synchronize()
  }
}

/// The staging memory of all workers that load to a device: as many pieces as there were workers at once.
final class StagingPool: Sendable {
  private let idle = Mutex<[Staging]>([])

  /// Lends a piece to `body`.
  func lend<Value>(on device: CUDADevice, _ body: (Staging) throws(MoEError) -> Value) throws(MoEError) -> Value {
    let staging =
      if let piece = idle.withLock({ $0.popLast() }) { piece } else { try Staging(on: device) }
    defer { idle.withLock { $0.append(staging) } }
    return try body(staging)
  }
}
