// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// An array in host memory, aligned to cache lines: the buffer of the backends that compute on the CPU.
///
/// Whoever shares one between threads orders the accesses, as with a device buffer.
@safe
public final class HostBuffer: @unchecked Sendable {
  package let bytes: UnsafeMutableRawBufferPointer

  public var byteCount: Int { unsafe bytes.count }

  public init(byteCount: Int) {
    unsafe bytes = .allocate(byteCount: max(byteCount, 1), alignment: 64)
  }

  deinit { unsafe bytes.deallocate() }

  func load(_ source: UnsafeRawBufferPointer) throws(MoEError) {
    guard source.count <= byteCount else { throw Self.tooSmall(byteCount, for: source.count) }
    unsafe bytes.copyMemory(from: source)
  }

  func copy(to target: UnsafeMutableRawBufferPointer) throws(MoEError) {
    guard target.count <= byteCount else { throw Self.tooSmall(byteCount, for: target.count) }
    unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<target.count]))
  }

  /// The first `count` elements.
  func elements<Element: BitwiseCopyable>(
    _ count: Int, as type: Element.Type
  ) throws(MoEError) -> UnsafeMutableBufferPointer<Element> {
    let needed = count * MemoryLayout<Element>.stride
    guard needed <= byteCount else { throw Self.tooSmall(byteCount, for: needed) }
    return unsafe UnsafeMutableBufferPointer(
      start: bytes.baseAddress!.assumingMemoryBound(to: type), count: count)
  }

  /// The first element, after checking that there are `count`.
  func start<Element: BitwiseCopyable>(
    _ count: Int, as type: Element.Type
  ) throws(MoEError) -> UnsafeMutablePointer<Element> {
    try unsafe elements(count, as: type).baseAddress!
  }

  private static func tooSmall(_ byteCount: Int, for needed: Int) -> MoEError {
    MoEError(
      .invalidArgument, "a buffer is too small", expected: "at least \(needed) bytes", found: "\(byteCount)")
  }
}

/// A backend on host memory: calls run at once, and the queue is nothing.
public protocol HostBackend: Backend where Buffer == HostBuffer, Queue == HostQueue {}

/// The queue of a backend that runs every call before it returns.
public struct HostQueue: Sendable {
  public init() {}
}

extension HostBackend {
  public func makeQueue() -> HostQueue { HostQueue() }

  public func makeBuffer(byteCount: Int) throws(MoEError) -> HostBuffer { HostBuffer(byteCount: byteCount) }

  public func upload(_ bytes: UnsafeRawBufferPointer, to buffer: HostBuffer, on queue: HostQueue) throws(MoEError) {
    try unsafe buffer.load(bytes)
  }

  public func download(
    _ buffer: HostBuffer, to bytes: UnsafeMutableRawBufferPointer, on queue: HostQueue
  ) throws(MoEError) {
    try unsafe buffer.copy(to: bytes)
  }
}
