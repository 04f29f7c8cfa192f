// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE
internal import Tensors

/// An array in a device's memory; freed with the last reference, once the device is done with it.
public final class CUDABuffer: Sendable {
  let address: UInt64
  public let byteCount: Int
  let device: CUDADevice

  /// - Throws: `outOfMemory`, saying how much there is.
  init(byteCount: Int, on device: CUDADevice) throws(MoEError) {
    var address: UInt64 = 0
    do throws(MoEError) {
      try device.call("cuMemAlloc") { unsafe $0.allocate(&address, max(byteCount, 1)) }
    } catch {
      var error = error
      let free = (try? device.freeBytes()).map { ", \($0) are free" } ?? ""
      error.faults[0].expected = "\(byteCount) bytes of device memory\(free)"
      error.faults[0].subject = "\(device.name) (cuda:\(device.ordinal))"
      throw error
    }
    self.address = address
    self.byteCount = byteCount
    self.device = device
  }

  deinit {
    // Waits for what runs. A failure has been reported by the call that caused it.
    try? device.call("cuMemFree") { $0.free(address) }
  }

  /// - Throws: `invalidArgument` when it has fewer bytes.
  func require(_ needed: Int) throws(MoEError) {
    guard needed > byteCount else { return }
    throw MoEError(
      .invalidArgument, "a buffer is too small", expected: "at least \(needed) bytes", found: "\(byteCount)")
  }

  /// Copies host memory to its start, in the order of `queue`; the host memory may change when this returns.
  func upload(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0, on queue: CUDAQueue) throws(MoEError) {
    try require(offset + bytes.count)
    guard unsafe !bytes.isEmpty else { return }
    let (stream, target) = unsafe (queue.stream, address + UInt64(offset))
    try unsafe queue.withSource(bytes) { (source) throws(MoEError) in
      try device.call("cuMemcpyHtoDAsync") { unsafe $0.copy_to_device(target, source, bytes.count, stream) }
    }
  }

  /// Copies its start to host memory and waits.
  func download(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int = 0, on queue: CUDAQueue) throws(MoEError) {
    try require(offset + bytes.count)
    guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return try queue.synchronize() }
    let (stream, source) = unsafe (queue.stream, address + UInt64(offset))
    try device.call("cuMemcpyDtoHAsync") { unsafe $0.copy_to_host(base, source, bytes.count, stream) }
    try queue.synchronize()
  }
}
