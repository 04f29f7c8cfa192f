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
  public var records: [TensorRecord] { file.records }

  private let file: TensorFile

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
    file = try TensorFile(
      creating: path, layout.records, header: layout.header, fileSize: layout.fileSize, isSparse: sparse)
  }

  /// Writes bytes of a tensor, from `offset` bytes after its beginning on.
  ///
  /// - Throws: `.missingTensor` for a name that was not declared, `.sizeMismatch` for bytes beyond the tensor's end,
  ///   `.unwritable`.
  @unsafe
  public func write(_ name: String, _ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(CheckpointError) {
    unsafe try file.write(name, bytes, at: offset)
  }

  /// Writes bytes of a tensor, from `offset` bytes after its beginning on.
  public func write(_ name: String, _ bytes: [UInt8], at offset: Int = 0) throws(CheckpointError) {
    try file.write(name, bytes, at: offset)
  }

  /// Checks that every byte was written exactly once, and puts the file in its place.
  ///
  /// - Throws: `.missingTensor`, `.sizeMismatch` and `.writtenTwice` for all tensors concerned, or `.unwritable`.
  public func finish() throws(CheckpointError) { try file.finish() }
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
