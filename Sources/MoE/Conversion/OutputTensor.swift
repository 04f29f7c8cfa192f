// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// A tensor that a conversion writes.
struct OutputTensor: Sendable, Hashable {
  var name: String
  /// U8 where the bytes are blocks of ggml.
  var elementType: ElementType
  /// The blocks; nil for plain elements.
  var blockType: GGMLType?
  /// In weights, also where they are stored as blocks.
  var shape: Shape

  init(_ name: String, _ elementType: ElementType, _ shape: Shape) {
    (self.name, self.elementType, self.shape) = (name, elementType, shape)
  }

  /// - Throws: `shapeMismatch` where a row is no whole number of blocks.
  init(_ name: String, _ type: GGMLType, _ shape: Shape) throws(MoEError) {
    try type.checkRow(of: shape, name)
    self.init(name, type.elementType ?? .u8, shape)
    blockType = type.elementType == nil ? type : nil
  }

  /// The tensor of a catalog, under another name.
  init(_ record: TensorRecord, name: String) {
    self.init(name, record.elementType, record.logicalShape)
    blockType = record.ggmlType
  }

  var byteCount: Int { blockType?.byteCount(of: shape) ?? elementType.byteCount(of: shape.elementCount!)! }

  /// For safetensors.
  var declaration: TensorDeclaration { TensorDeclaration(name, elementType, shape) }

  /// For GGUF; nil for elements that it has no type for.
  var inGGUF: GGUFDeclaration? {
    (blockType ?? GGMLType(elementType)).map { GGUFDeclaration(name, $0, shape) }
  }
}

extension GGMLType {
  /// - Throws: `shapeMismatch` where a row is no whole number of blocks.
  func checkRow(of shape: Shape, _ name: String) throws(MoEError) {
    let columns = shape.dimensions.last ?? 1
    guard columns % blockElements != 0 else { return }
    throw MoEError(
      .shapeMismatch, "a row is no whole number of \(self) blocks", subject: name,
      expected: "a multiple of \(blockElements)", found: "\(columns)",
      remedy: columns % 32 == 0 ? "q8_0, q4_0 and iq4_nl have blocks of 32" : nil)
  }
}
