// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Memory aligned for vector loads and for direct input, owned by one place and freed with it.
///
/// ```swift
/// var buffer = try AlignedBuffer(byteCount: 1 << 30, hugePages: true)  // zeroed
/// unsafe buffer.bytes.storeBytes(of: 1, as: Float.self)
/// ```
///
/// A big buffer comes straight from the operating system and returns to it at once when the buffer is dropped,
/// so that the peak of a load stays at what is resident plus one expert.
@safe
public struct AlignedBuffer: ~Copyable, @unchecked Sendable {
  /// What a fresh buffer holds.
  public enum Contents: Sendable {
    case zeros
    /// Whatever was there: for a caller that writes every byte. (A mapped buffer still reads as zeros.)
    case uninitialized
  }

  /// The alignment of every buffer in bytes: one cache line, one 512-bit register.
  public static let alignment = 64

  private let region: MemoryRegion

  /// Allocates `byteCount` bytes.
  ///
  /// - Parameters:
  ///   - byteCount: Its size.
  ///   - contents: Whether it is cleared.
  ///   - hugePages: Asks for 2 MiB pages, aligned to 2 MiB, where the buffer has at least 4 MiB. A wish: a system
  ///     without them serves small pages.
  /// - Throws: `AllocationError` when `byteCount` is negative or the memory cannot be had.
  public init(
    byteCount: Int, contents: Contents = .zeros, hugePages: Bool = false
  ) throws(AllocationError) {
    region = try MemoryRegion(byteCount: byteCount, zeroed: contents == .zeros, hugePages: hugePages)
  }

  deinit { region.free() }

  public var byteCount: Int { unsafe region.bytes.count }

  /// The memory. Valid while the buffer lives; nothing checks that.
  @unsafe public var bytes: UnsafeMutableRawBufferPointer { unsafe region.bytes }
}

extension AlignedBuffer {
  /// Lends the bytes for reading.
  public borrowing func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafe UnsafeRawBufferPointer(region.bytes)
    return unsafe try body(bytes.bytes)
  }

  /// Lends the bytes for writing.
  public mutating func withMutableBytes<Result, Failure: Error>(
    _ body: (inout MutableRawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafe region.bytes
    var span = unsafe bytes.mutableBytes
    return try body(&span)
  }
}
