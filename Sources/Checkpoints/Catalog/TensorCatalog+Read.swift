// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension TensorCatalog {
  /// The limit of `bytes(of:)`, `floats(of:)` and `integers(of:)`, which build arrays.
  public static let arrayByteLimit = 4 << 30

  /// Reads a tensor, or `range` of its bytes, to `buffer`.
  ///
  /// - Parameter range: Bytes relative to the tensor; nil for all.
  /// - Throws: `.unreadable`, `.fileChanged`.
  /// - Precondition: `range` is in the tensor, and `buffer` has its size.
  @unsafe
  public func read(
    _ record: TensorRecord, range: Range<Int>? = nil, into buffer: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let range = range ?? 0..<record.byteCount
    precondition(range.lowerBound >= 0 && range.upperBound <= record.byteCount, "range outside \(record.name)")
    precondition(buffer.count == range.count, "a buffer of \(buffer.count) bytes for \(range.count) of \(record.name)")
    unsafe try file(of: record).read(at: record.offset + range.lowerBound, into: buffer)
  }

  /// The bytes of a tensor, or `range` of them, as they are in the file.
  ///
  /// - Throws: `.unreadable`, `.fileChanged`, `.tooLarge` above `arrayByteLimit`.
  /// - Precondition: `range` is in the tensor.
  public func bytes(of record: TensorRecord, in range: Range<Int>? = nil) throws(CheckpointError) -> [UInt8] {
    let range = range ?? 0..<record.byteCount
    precondition(range.lowerBound >= 0 && range.upperBound <= record.byteCount, "range outside \(record.name)")
    guard range.count <= Self.arrayByteLimit else {
      throw fault(
        .tooLarge, "the tensor is too large for an array", record, expected: "at most \(Self.arrayByteLimit) bytes",
        found: "\(range.count)")
    }
    return try file(of: record).bytes(in: record.offset + range.lowerBound..<record.offset + range.upperBound)
  }

  /// The elements of a tensor as floats; see `ElementType.decode` and `GGMLType.decode`.
  ///
  /// - Throws: As `bytes(of:)`, where the limit holds for the floats of blocks, too; `.unsupported` for 4- and 6-bit and
  ///   complex elements.
  public func floats(of record: TensorRecord) throws(CheckpointError) -> [Float] {
    if let type = record.ggmlType {
      let count = record.byteCount / type.blockBytes * type.blockElements
      guard count <= Self.arrayByteLimit / 4 else {
        throw fault(
          .tooLarge, "the tensor is too large for an array", record,
          expected: "at most \(Self.arrayByteLimit / 4) floats",
          found: "\(count)")
      }
      return type.decode(try bytes(of: record))
    }
    guard record.elementType.isDecodable else {
      throw fault(
        .unsupported, "the elements cannot be read as floats", record, expected: "elements of whole bytes",
        found: record.elementType.rawValue)
    }
    return record.elementType.decode(try bytes(of: record))
  }

  /// The elements of a tensor of whole numbers or booleans.
  ///
  /// - Throws: As `bytes(of:)`; `.unsupported` for other elements, and for a U64 above the greatest `Int`.
  public func integers(of record: TensorRecord) throws(CheckpointError) -> [Int] {
    guard record.ggmlType == nil, let integers = record.elementType.decodeIntegers(try bytes(of: record)) else {
      throw fault(
        .unsupported, "the elements cannot be read as whole numbers", record, expected: "I8 to I64, U8 to U64 or BOOL",
        found: record.typeName)
    }
    return integers
  }

  /// The elements of a tensor of any numbers as 64-bit floats: exact but for whole numbers beyond 2⁵³.
  ///
  /// - Throws: As `floats(of:)`.
  public func doubles(of record: TensorRecord) throws(CheckpointError) -> [Double] {
    guard record.ggmlType == nil else { return try floats(of: record).map(Double.init) }
    let bytes = try bytes(of: record)
    if let integers = record.elementType.decodeIntegers(bytes) { return integers.map(Double.init) }
    guard record.elementType == .f64 else { return try floats(of: record).map(Double.init) }
    return stride(from: 0, to: bytes.count, by: 8).map { start in
      Double(bitPattern: bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }
  }

  private func fault(
    _ code: Fault.Code, _ message: String, _ record: TensorRecord, expected: String, found: String
  ) -> CheckpointError {
    CheckpointError(
      Fault(code, message, file: path(of: record), subject: record.name, expected: expected, found: found))
  }
}
