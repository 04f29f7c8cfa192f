// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// The header of a GGUF file: metadata, then what each tensor is and where it lies; the data follow.
///
/// All rules of the format hold for a value of this type: lengths and counts in the file, no key or tensor twice, text
/// in UTF-8, whole blocks, data aligned, in the file and without overlap. Little-endian files of versions 2 and 3.
/// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
public struct GGUFHeader: Sendable, Hashable {
  public let version: Int
  /// The metadata. Integers are exact but for those above the greatest `Int`, which are numbers.
  public let metadata: [String: JSONValue]
  /// Where the type and the value of each key stand, in bytes from the start of the file.
  let valuePlaces: [String: Range<Int>]
  /// The tensors, sorted by name.
  public let tensors: [TensorRecord]
  /// The data of each tensor begin at a multiple of it.
  public let alignment: Int
  /// Where the data begin, from the start of the file.
  public let dataOffset: Int
  /// What is strange, but no reason to refuse, as sentences without a full stop.
  public let warnings: [String]

  /// The limit on the length of a header. (The vocabulary is in it: some 10 MB.)
  public static let lengthLimit = 256 << 20
  /// The limit on the elements of all arrays in the metadata.
  public static let elementLimit = 1 << 23
  /// The limit on the number of tensors, and on that of metadata keys.
  public static let countLimit = 1 << 20
  /// The limit on arrays in arrays.
  public static let depthLimit = 8
  /// The limit on the length of a key, from the specification.
  public static let keyLengthLimit = 65535
  /// The limit on the number of dimensions, from the specification.
  public static let rankLimit = 4

  /// Parses the start of a file.
  ///
  /// - Parameters:
  ///   - bytes: The file from its first byte to the end of its header at least.
  ///   - fileSize: The size of the whole file.
  ///   - file: Its name for messages.
  /// - Throws: All faults of the header, up to where its structure is lost.
  public init(parsing bytes: [UInt8], fileSize: Int, file: String = "GGUF") throws(CheckpointError) {
    let bytes = bytes.count > fileSize ? Array(bytes.prefix(max(fileSize, 0))) : bytes
    try self.init(GGUFCursor(bytes, fileSize: max(fileSize, 0), file: file))
  }

  init(_ cursor: GGUFCursor) throws(CheckpointError) {
    var parser = GGUFHeaderParser(cursor)
    do throws(CheckpointError) { try parser.parse() } catch { parser.faults.append(contentsOf: error.faults) }
    try parser.faults.check()
    version = parser.version
    metadata = parser.metadata
    valuePlaces = parser.valuePlaces
    tensors = parser.tensors
    alignment = parser.alignment!
    dataOffset = parser.dataOffset
    warnings = parser.warnings
  }
}
