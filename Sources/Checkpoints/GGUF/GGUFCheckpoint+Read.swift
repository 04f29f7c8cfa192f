// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension GGUFCheckpoint {
  /// Reads a tensor, or `range` of its bytes, to `buffer`.
  ///
  /// - Parameter range: Bytes relative to the tensor; nil for all.
  /// - Throws: `.unreadable`, `.fileChanged`.
  /// - Precondition: `range` is in the tensor, and `buffer` has its size.
  @unsafe
  public func read(
    _ tensor: GGUFTensor, range: Range<Int>? = nil, into buffer: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let range = range ?? 0..<tensor.byteCount
    precondition(range.lowerBound >= 0 && range.upperBound <= tensor.byteCount, "range outside \(tensor.name)")
    precondition(buffer.count == range.count, "a buffer of \(buffer.count) bytes for \(range.count) of \(tensor.name)")
    unsafe try files[tensor.file].file.read(at: tensor.offset + range.lowerBound, into: buffer)
  }

  /// The bytes of a tensor, or of some of its rows, as they are in the file.
  ///
  /// - Parameter rows: Rows of all outer dimensions together; see `GGUFTensor.rowCount`. Nil for all.
  /// - Throws: `.unreadable`, `.fileChanged`, `.tooLarge` above `TensorCatalog.arrayByteLimit`.
  /// - Precondition: `rows` are in the tensor.
  public func bytes(of tensor: GGUFTensor, rows: Range<Int>? = nil) throws(CheckpointError) -> [UInt8] {
    let range = tensor.byteRange(ofRows: rows ?? 0..<tensor.rowCount)
    try checkSize(range.count, tensor)
    return try files[tensor.file].file.bytes(in: tensor.offset + range.lowerBound..<tensor.offset + range.upperBound)
  }

  /// The elements of a tensor, or of some of its rows, as floats; see `GGMLType.decode`.
  ///
  /// - Parameter rows: Rows of all outer dimensions together; see `GGUFTensor.rowCount`. Nil for all.
  /// - Throws: As `bytes(of:rows:)`; the limit holds for the floats, too.
  /// - Precondition: `rows` are in the tensor.
  public func floats(of tensor: GGUFTensor, rows: Range<Int>? = nil) throws(CheckpointError) -> [Float] {
    let count = (rows?.count ?? tensor.rowCount).multipliedReportingOverflow(by: tensor.rowLength)
    try checkSize(count.overflow || count.partialValue > Int.max / 4 ? Int.max : 4 * count.partialValue, tensor)
    return tensor.type.decode(try bytes(of: tensor, rows: rows))
  }

  private func checkSize(_ byteCount: Int, _ tensor: GGUFTensor) throws(CheckpointError) {
    guard byteCount > TensorCatalog.arrayByteLimit else { return }
    throw CheckpointError(
      Fault(
        .tooLarge, "the tensor is too large for an array", file: path(of: tensor), subject: tensor.name,
        expected: "at most \(TensorCatalog.arrayByteLimit) bytes", found: "\(byteCount)"))
  }
}
