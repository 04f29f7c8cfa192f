// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// Writes a GGUF file of any size, tensor by tensor or piece by piece, in any order.
///
/// ```swift
/// let writer = try GGUFWriter(
///   creating: path, metadata: ["general.architecture": .string("llama"), "llama.expert_count": .uint32(8)],
///   tensors: [GGUFDeclaration("blk.0.ffn_up_exps.weight", .q4_K, [8, 14336, 4096])])
/// try writer.write("blk.0.ffn_up_exps.weight", GGMLType.q4_K.encode(weights), at: 0)
/// try writer.finish()  // the file appears
/// ```
///
/// Version 3, little-endian (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). The file has its name only
/// after `finish`: after an error, or when the writer is dropped, nothing is left.
public final class GGUFWriter {
  /// The tensors, sorted by name, with their places in the file.
  public let tensors: [TensorRecord]

  private let file: AtomicFile
  private let isSparse: Bool
  private let indices: [String: Int]
  private var written: WrittenRanges

  /// Begins a file.
  ///
  /// - Parameters:
  ///   - path: The place of the file, in a folder that exists.
  ///   - metadata: Keys and values; `general.alignment` is added where it is not 32.
  ///   - alignment: A power of two at whose multiples the data of tensors begin.
  ///   - sparse: Leaves the bytes that are never written as holes: a file of true size that takes no room.
  /// - Throws: All faults of the declarations, or `.unwritable`.
  public init(
    creating path: String, metadata: [String: GGUFValue], tensors: [GGUFDeclaration], alignment: Int = 32,
    sparse: Bool = false
  ) throws(CheckpointError) {
    let layout = try GGUFLayout(metadata: metadata, tensors, alignment: alignment, file: path)
    self.tensors = layout.tensors
    indices = Dictionary(uniqueKeysWithValues: layout.tensors.enumerated().map { ($1.name, $0) })
    written = WrittenRanges(tensorCount: layout.tensors.count)
    isSparse = sparse
    file = try AtomicFile(creating: path)
    try file.truncate(to: layout.fileSize)
    try file.write(layout.header, at: 0)
  }

  /// Writes bytes of a tensor, from `offset` bytes after its beginning on.
  ///
  /// - Throws: `.missingTensor` for a name that was not declared, `.sizeMismatch` for bytes beyond the tensor's end,
  ///   `.unwritable`.
  public func write(_ name: String, _ bytes: [UInt8], at offset: Int = 0) throws(CheckpointError) {
    guard let index = indices[name] else {
      throw CheckpointError(Fault(.missingTensor, "the tensor was not declared", file: file.path, subject: name))
    }
    let tensor = tensors[index]
    try written.note(
      index, byteCount: bytes.count, at: offset, of: tensor.byteCount, subject: name,
      type: "\(tensor.typeName) \(tensor.logicalShape)", file: file.path)
    try file.write(bytes, at: tensor.offset + offset)
  }

  /// Checks that every byte was written exactly once, and puts the file in its place.
  ///
  /// - Throws: `.missingTensor`, `.sizeMismatch` and `.writtenTwice` for all tensors concerned, or `.unwritable`.
  public func finish() throws(CheckpointError) {
    let faults = tensors.enumerated().compactMap { index, tensor in
      written.fault(index, of: tensor.byteCount, subject: tensor.name, file: file.path, mayHaveHoles: isSparse)
    }
    if !faults.isEmpty { throw CheckpointError(faults) }
    try file.commit()
  }
}
