// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// The header of a safetensors file: an 8-byte little-endian length, then so many bytes of JSON, then the data.
///
/// All rules of the format hold for a value of this type, including those that the reference implementation leaves to
/// its JSON parser: no key twice, the data without overlap or hole from 0 to the end of the file, sizes without
/// overflow. The format: https://github.com/huggingface/safetensors#format.
public struct SafetensorsHeader: Sendable, Hashable {
  /// The tensors, sorted by name.
  public let tensors: [TensorRecord]
  /// The text that the writer left under `__metadata__`.
  public let metadata: [String: String]
  /// Where the data begin, from the start of the file.
  public let dataOffset: Int

  /// The limit of the reference implementation on the length of the JSON.
  public static let lengthLimit = 100_000_000
  /// The limit on the length of a tensor's name in bytes of UTF-8.
  public static let nameLengthLimit = 1024
  /// The limit on the number of dimensions, as in PyTorch and NumPy.
  public static let rankLimit = 64

  /// Parses the start of a file.
  ///
  /// - Parameters:
  ///   - bytes: The file from its first byte to the end of its header at least.
  ///   - fileSize: The size of the whole file.
  ///   - file: Its name for messages.
  /// - Throws: All faults of the header, as long as it is JSON; else the first one.
  public init(parsing bytes: [UInt8], fileSize: Int, file: String = "safetensors") throws(CheckpointError) {
    let length = try Self.length(start: bytes[...], fileSize: fileSize, file: file)
    guard length <= bytes.count - 8 else {
      throw CheckpointError(
        Fault(
          .malformedHeader, "the header is not complete", file: file, expected: "\(8 + length) bytes",
          found: "\(bytes.count)"))
    }
    dataOffset = 8 + length
    var parser = SafetensorsHeaderParser(bytes, range: 8..<dataOffset, fileSize: fileSize, file: file)
    (tensors, metadata) = try parser.parse()
  }

  /// The length of the JSON, by the first 8 bytes of a file.
  static func length(start bytes: ArraySlice<UInt8>, fileSize: Int, file: String) throws(CheckpointError) -> Int {
    if let signature = FileSignature(start: bytes) { throw CheckpointError(signature.fault(file: file)) }
    guard fileSize >= 8, bytes.count >= 8 else {
      throw CheckpointError(
        Fault(
          .malformedHeader, "too small for a safetensors file", file: file, expected: "at least 8 bytes",
          found: "\(min(fileSize, bytes.count))", remedy: "download the file again"))
    }
    let length = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(lengthLimit) else {
      throw CheckpointError(
        Fault(
          .malformedHeader, "not a safetensors file, or a damaged one: its header would be too large", file: file,
          expected: "at most \(lengthLimit) bytes", found: "\(length)"))
    }
    guard Int(length) <= fileSize - 8 else {
      throw CheckpointError(
        Fault(
          .malformedHeader, "the header is longer than the file", file: file,
          expected: "at least \(8 + length) bytes", found: "\(fileSize)",
          remedy: "the file is cut off; download it again"))
    }
    return Int(length)
  }
}
