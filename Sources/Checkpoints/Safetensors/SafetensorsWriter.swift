// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Writes a safetensors file of any size, tensor by tensor or piece by piece, in any order.
///
/// ```swift
/// let writer = try SafetensorsWriter(creating: path, tensors: [TensorDeclaration("w", .bf16, [1024, 4096])])
/// try writer.write("w", bytes)
/// try writer.finish()  // the file appears
/// ```
///
/// The file has its name only after `finish`: after an error, or when the writer is dropped, nothing is left.
public final class SafetensorsWriter {
  /// The tensors in the order of their data, with their places in the file.
  public let records: [TensorRecord]

  private let file: AtomicFile
  private let isSparse: Bool
  private let indices: [String: Int]
  private var written: WrittenRanges

  /// Begins a file.
  ///
  /// - Parameters:
  ///   - path: The place of the file, in a folder that exists.
  ///   - metadata: Text for `__metadata__`.
  ///   - sparse: Leaves the bytes that are never written as holes: a checkpoint of true sizes that takes no room.
  /// - Throws: All faults of the declarations, or `.unwritable`.
  public init(
    creating path: String, tensors: [TensorDeclaration], metadata: [String: String] = [:], sparse: Bool = false
  ) throws(CheckpointError) {
    let layout = try SafetensorsLayout(tensors, metadata: metadata, file: path)
    records = layout.records
    indices = Dictionary(uniqueKeysWithValues: layout.records.enumerated().map { ($1.name, $0) })
    written = WrittenRanges(tensorCount: layout.records.count)
    isSparse = sparse
    file = try AtomicFile(creating: path)
    try file.truncate(to: layout.fileSize)
    try file.write(layout.header, at: 0)
  }

  /// Writes bytes of a tensor, from `offset` bytes after its beginning on.
  ///
  /// - Throws: `.missingTensor` for a name that was not declared, `.sizeMismatch` for bytes beyond the tensor's end,
  ///   `.unwritable`.
  @unsafe
  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(CheckpointError) {
    let index = try place(name, byteCount: bytes.count, at: offset)
    unsafe try file.write(bytes, at: records[index].offset + offset)
  }

  /// Writes bytes of a tensor, from `offset` bytes after its beginning on.
  public func write(_ name: String, _ bytes: [UInt8], at offset: Int = 0) throws(CheckpointError) {
    let index = try place(name, byteCount: bytes.count, at: offset)
    try file.write(bytes, at: records[index].offset + offset)
  }

  /// Checks that every byte was written exactly once, and puts the file in its place.
  ///
  /// - Throws: `.missingTensor`, `.sizeMismatch` and `.writtenTwice` for all tensors concerned, or `.unwritable`.
  public func finish() throws(CheckpointError) {
    let faults = records.enumerated().compactMap { index, record in
      written.fault(
        index, of: record.byteCount, subject: record.name, file: file.path, mayHaveHoles: isSparse)
    }
    if !faults.isEmpty { throw CheckpointError(faults) }
    try file.commit()
  }

  private func place(_ name: String, byteCount: Int, at offset: Int) throws(CheckpointError) -> Int {
    guard let index = indices[name] else {
      throw CheckpointError(Fault(.missingTensor, "the tensor was not declared", file: file.path, subject: name))
    }
    let record = records[index]
    try written.note(
      index, byteCount: byteCount, at: offset, of: record.byteCount, subject: name,
      type: "\(record.elementType) \(record.shape)", file: file.path)
    return index
  }
}

extension SafetensorsFile {
  /// Writes a whole file at once; atomic, as `SafetensorsWriter`.
  ///
  /// - Throws: All faults of the tensors, or `.unwritable`.
  public static func write(
    tensors: [(TensorDeclaration, bytes: [UInt8])], to path: String, metadata: [String: String] = [:]
  ) throws(CheckpointError) {
    let writer = try SafetensorsWriter(creating: path, tensors: tensors.map(\.0), metadata: metadata)
    for (tensor, bytes) in tensors { try writer.write(tensor.name, bytes) }
    try writer.finish()
  }
}
