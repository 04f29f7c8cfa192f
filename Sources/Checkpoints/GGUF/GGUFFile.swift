// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// An open GGUF file, whose header was read and validated; its data were not touched.
///
/// ```swift
/// let file = try GGUFFile(opening: "mixtral-Q4_K_M.gguf")
/// file.header.metadata["llama.expert_count"]?.integer  // 8
/// for tensor in file.header.tensors { print(tensor.name, tensor.typeName, tensor.logicalShape) }
/// ```
///
/// A file may be one of several: `TensorCatalog` opens all of them.
public struct GGUFFile: Sendable {
  public let file: RandomAccessFile
  public let header: GGUFHeader

  /// Opens one file.
  ///
  /// - Throws: All faults of the header, up to where its structure is lost.
  public init(opening path: String) throws(CheckpointError) {
    file = try RandomAccessFile(opening: path)
    header = try GGUFHeader(GGUFCursor(file))
  }

  /// The metadata with their types, to be written to another file.
  ///
  /// - Throws: `.unreadable`, `.fileChanged`.
  public func values() throws(CheckpointError) -> [String: GGUFValue] {
    var values: [String: GGUFValue] = [:]
    for (key, place) in header.valuePlaces { values[key] = .stored(try file.bytes(in: place)) }
    return values
  }
}
