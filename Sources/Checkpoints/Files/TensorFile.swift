// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A file of tensors while it is written, of either container: a header, then the data of each tensor in its place.
///
/// Pieces come in any order, and each byte exactly once. The file has its name only after `finish`.
final class TensorFile {
  /// The tensors with their places in the file.
  let records: [TensorRecord]

  private let file: AtomicFile
  private let isSparse: Bool
  private let indices: [String: Int]
  private var written: WrittenRanges

  /// - Parameter isSparse: Whether bytes that are never written may stay holes.
  init(
    creating path: String, _ records: [TensorRecord], header: [UInt8], fileSize: Int, isSparse: Bool
  ) throws(CheckpointError) {
    self.records = records
    self.isSparse = isSparse
    indices = Dictionary(uniqueKeysWithValues: records.enumerated().map { ($1.name, $0) })
    written = WrittenRanges(tensorCount: records.count)
    file = try AtomicFile(creating: path)
    try file.truncate(to: fileSize)
    try file.write(header, at: 0)
  }

  @unsafe
  func write(_ name: String, _ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
    let start = try place(name, byteCount: bytes.count, at: offset)
    unsafe try file.write(bytes, at: start)
  }

  func write(_ name: String, _ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    try file.write(bytes, at: try place(name, byteCount: bytes.count, at: offset))
  }

  /// Checks that every byte was written exactly once, and puts the file in its place.
  func finish() throws(CheckpointError) {
    let faults = records.enumerated().compactMap { index, record in
      written.fault(index, of: record.byteCount, subject: record.name, file: file.path, mayHaveHoles: isSparse)
    }
    if !faults.isEmpty { throw CheckpointError(faults) }
    try file.commit()
  }

  /// Notes the bytes of a tensor, and tells where they go in the file.
  private func place(_ name: String, byteCount: Int, at offset: Int) throws(CheckpointError) -> Int {
    guard let index = indices[name] else {
      throw CheckpointError(Fault(.missingTensor, "the tensor was not declared", file: file.path, subject: name))
    }
    let record = records[index]
    try written.note(
      index, byteCount: byteCount, at: offset, of: record.byteCount, subject: name,
      type: "\(record.typeName) \(record.logicalShape)", file: file.path)
    return record.offset + offset
  }
}
