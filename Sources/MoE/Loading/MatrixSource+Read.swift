// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension MatrixSource.Piece {
  /// Reads some of its bytes to where they belong in a buffer that begins with byte `origin` of the tensor.
  func read(
    _ ranges: [Range<Int>], from origin: Int, into bytes: UnsafeMutableRawBufferPointer, _ read: Transfer.Reader
  ) throws(MoEError) {
    for range in ranges {
      let target = unsafe UnsafeMutableRawBufferPointer(
        rebasing: bytes[range.lowerBound - origin..<range.upperBound - origin])
      try unsafe read(self, range, target)
    }
  }

  /// All its bytes: those of some ranges as they are read, 0 elsewhere.
  func bytes(_ ranges: [Range<Int>], _ read: Transfer.Reader) throws(MoEError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    let failure = unsafe bytes.withUnsafeMutableBytes { target -> MoEError? in
      do throws(MoEError) {
        try unsafe self.read(ranges, from: offset, into: target, read)
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}
