// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

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
  public var tensors: [TensorRecord] { file.records }

  private let file: TensorFile

  /// Begins a file.
  ///
  /// - Parameters:
  ///   - path: The place of the file, in a folder that exists.
  ///   - metadata: Keys and values; `general.alignment` is added where it is not 32.
  ///   - tensors: What the file will hold; their data are written afterwards.
  ///   - alignment: A power of two at whose multiples the data of tensors begin.
  ///   - sparse: Leaves the bytes that are never written as holes: a file of true size that takes no room.
  /// - Throws: All faults of the declarations, or `.unwritable`.
  public init(
    creating path: String, metadata: [String: GGUFValue], tensors: [GGUFDeclaration], alignment: Int = 32,
    sparse: Bool = false
  ) throws(CheckpointError) {
    let layout = try GGUFLayout(metadata: metadata, tensors, alignment: alignment, file: path)
    file = try TensorFile(
      creating: path, layout.tensors, header: layout.header, fileSize: layout.fileSize, isSparse: sparse)
  }

  /// Writes bytes of a tensor, from `offset` bytes after its beginning on.
  ///
  /// - Throws: `.missingTensor` for a name that was not declared, `.sizeMismatch` for bytes beyond the tensor's end,
  ///   `.unwritable`.
  public func write(_ name: String, _ bytes: [UInt8], at offset: Int = 0) throws(CheckpointError) {
    try file.write(name, bytes, at: offset)
  }

  /// Checks that every byte was written exactly once, and puts the file in its place.
  ///
  /// - Throws: `.missingTensor`, `.sizeMismatch` and `.writtenTwice` for all tensors concerned, or `.unwritable`.
  public func finish() throws(CheckpointError) { try file.finish() }
}
