// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// An open safetensors file, whose header was read and validated; its data were not touched.
///
/// ```swift
/// let file = try SafetensorsFile(opening: "model.safetensors")
/// for tensor in file.header.tensors { print(tensor.name, tensor.elementType, tensor.shape) }
/// ```
public struct SafetensorsFile: Sendable {
  public let file: RandomAccessFile
  public let header: SafetensorsHeader

  /// Opens a file.
  ///
  /// - Throws: All faults of the header.
  public init(opening path: String) throws(CheckpointError) {
    file = try RandomAccessFile(opening: path)
    // The length is validated against the file before memory is taken for it.
    let start = try file.bytes(in: 0..<min(8, file.size))
    let length = try SafetensorsHeader.length(start: start[...], fileSize: file.size, file: path)
    header = try SafetensorsHeader(
      parsing: try file.bytes(in: 0..<8 + length), fileSize: file.size, file: path)
  }
}
