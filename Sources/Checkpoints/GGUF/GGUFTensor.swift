// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A tensor in a GGUF file: what it is and where its bytes are. Validated: the bytes are in the file, and their number
/// is that of the shape and the type.
public struct GGUFTensor: Sendable, Hashable {
  public let name: String
  public let type: GGMLType
  /// Outermost first, as everywhere in this package: `[experts, out, in]`. (The file has the innermost first.)
  public let shape: Shape
  /// The index of its file in `GGUFCheckpoint.files`.
  public internal(set) var file: Int
  /// The first byte, from the start of the file; a multiple of the file's alignment.
  public let offset: Int
  public let byteCount: Int

  /// Elements of a row, whole blocks.
  public var rowLength: Int { shape.dimensions.last! }

  /// Rows of all outer dimensions together: row `r` of expert `e` of `[experts, out, in]` is `e * out + r`.
  public var rowCount: Int { shape.dimensions.dropLast().reduce(1, *) }

  /// Where rows lie, relative to the tensor.
  ///
  /// - Precondition: `rows` are in the tensor.
  public func byteRange(ofRows rows: Range<Int>) -> Range<Int> {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= rowCount, "rows outside \(name)")
    let rowBytes = type.byteCount(ofRow: rowLength)!
    return rows.lowerBound * rowBytes..<rows.upperBound * rowBytes
  }
}
