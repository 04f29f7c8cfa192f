// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Reads a header from its start on, piece by piece: nobody knows its length before it is read.
///
/// Every length is compared with the rest of the file before memory is taken for it.
struct GGUFCursor {
  let file: String
  let fileSize: Int
  private(set) var position = 0

  private let source: RandomAccessFile?
  private var window: ArraySlice<UInt8>
  /// Where the window begins in the file.
  private var windowStart = 0

  private static let pieceSize = 1 << 20

  init(_ source: RandomAccessFile) {
    self.source = source
    file = source.path
    fileSize = source.size
    window = []
  }

  /// Reads `bytes`, the start of a file at least as long.
  init(_ bytes: [UInt8], fileSize: Int, file: String) {
    source = nil
    self.file = file
    self.fileSize = fileSize
    window = bytes[...]
  }

  var remaining: Int { fileSize - position }

  /// The next `count` bytes.
  mutating func read(_ count: Int, _ what: @autoclosure () -> String) throws(CheckpointError) -> ArraySlice<UInt8> {
    try demand(count, what())
    if position + count > windowStart + window.count {
      guard let source else {
        throw CheckpointError(
          Fault(
            .malformedHeader, "the header is not complete", file: file,
            expected: "more than \(window.count) bytes", found: "\(window.count)"))
      }
      window = try source.bytes(in: position..<min(fileSize, position + max(count, Self.pieceSize)))[...]
      windowStart = position
    }
    let start = window.startIndex + position - windowStart
    position += count
    return window[start..<start + count]
  }

  /// Passes `count` bytes unread.
  mutating func skip(_ count: Int, _ what: @autoclosure () -> String) throws(CheckpointError) {
    try demand(count, what())
    position += count
    // So that the window begins at the position or before it.
    if source != nil, position > windowStart + window.count { (window, windowStart) = ([], position) }
  }

  mutating func read<Number: FixedWidthInteger & UnsignedInteger>(
    _ type: Number.Type, _ what: @autoclosure () -> String
  ) throws(CheckpointError) -> Number {
    try read(Number.bitWidth / 8, what()).reversed().reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
  }

  /// A number of things that follow, each of `size` bytes at least.
  mutating func readCount(size: Int, _ what: @autoclosure () -> String) throws(CheckpointError) -> Int {
    let start = position
    let count = try read(UInt64.self, what())
    let limit = remaining / size
    guard count <= UInt64(limit) else {
      throw CheckpointError(
        Fault(
          .malformedHeader, "\(what()) is more than the file can hold", file: file, subject: "byte \(start)",
          expected: "at most \(limit)", found: "\(count)", remedy: "the file is damaged or cut off; download it again"))
    }
    return Int(count)
  }

  /// A length and so many bytes; nil when they are no UTF-8.
  mutating func readString(_ what: @autoclosure () -> String) throws(CheckpointError) -> String? {
    let length = try readCount(size: 1, "the length of \(what())")
    return String(validating: try read(length, what()), as: UTF8.self)
  }

  private func demand(_ count: Int, _ what: @autoclosure () -> String) throws(CheckpointError) {
    guard count <= remaining else {
      throw CheckpointError(
        Fault(
          .malformedHeader, "the file ends in \(what())", file: file, subject: "byte \(position)",
          expected: "\(count) bytes", found: "\(remaining)", remedy: "the file is cut off; download it again"))
    }
    guard count <= GGUFHeader.lengthLimit - position else {
      throw CheckpointError(
        Fault(
          .tooLarge, "the header is too long, in \(what())", file: file, subject: "byte \(position)",
          expected: "at most \(GGUFHeader.lengthLimit) bytes", found: "more"))
    }
  }
}
