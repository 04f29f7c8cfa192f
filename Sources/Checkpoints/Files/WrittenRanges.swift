// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Which bytes of each tensor of a file have been written.
struct WrittenRanges {
  /// Relative to the tensor.
  private var ranges: [[Range<Int>]]

  init(tensorCount: Int) { ranges = Array(repeating: [], count: tensorCount) }

  /// Notes bytes from `offset` on.
  ///
  /// - Throws: `.sizeMismatch` for bytes beyond the end of the tensor.
  mutating func note(
    _ index: Int, byteCount: Int, at offset: Int, of size: Int, subject: String, type: @autoclosure () -> String,
    file: String
  ) throws(CheckpointError) {
    guard offset >= 0, offset <= size, byteCount <= size - offset else {
      throw CheckpointError(
        Fault(
          .sizeMismatch, "bytes beyond the end of the tensor", file: file, subject: subject,
          expected: "\(size) bytes (\(type()))", found: "\(byteCount) at \(offset)"))
    }
    if byteCount > 0 { ranges[index].append(offset..<offset + byteCount) }
  }

  /// What is wrong with a tensor of `size` bytes when the file is done: each must have been written once.
  func fault(_ index: Int, of size: Int, subject: String, file: String, mayHaveHoles: Bool) -> Fault? {
    var end = 0
    var count = 0
    for range in ranges[index].sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if range.lowerBound < end {
        return Fault(.writtenTwice, "bytes were written twice", file: file, subject: subject)
      }
      end = range.upperBound
      count += range.count
    }
    if mayHaveHoles || count == size { return nil }
    return count == 0
      ? Fault(.missingTensor, "the tensor was never written", file: file, subject: subject)
      : Fault(
        .sizeMismatch, "the tensor was written in part", file: file, subject: subject, expected: "\(size) bytes",
        found: "\(count)")
  }
}
