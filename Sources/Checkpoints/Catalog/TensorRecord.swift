// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A tensor to be written: everything but its bytes.
public struct TensorDeclaration: Sendable, Hashable {
  public var name: String
  public var elementType: ElementType
  public var shape: Shape

  public init(_ name: String, _ elementType: ElementType, _ shape: Shape) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
  }

  /// nil when it can't be counted, or is no whole number.
  public var byteCount: Int? { shape.elementCount.flatMap { elementType.byteCount(of: $0) } }
}

/// A tensor in a file: what it is and where its bytes are. Validated: the bytes are in the file, and their number is
/// that of the shape and the type.
public struct TensorRecord: Sendable, Hashable {
  public let name: String
  /// U8 where the bytes are blocks of ggml.
  public let elementType: ElementType
  /// Outermost first: `[experts, out, in]`. Of blocks, the last extent counts the bytes of a row.
  public let shape: Shape
  /// What the blocks of a quantised GGUF tensor are; nil for plain elements, of any container.
  public internal(set) var ggmlType: GGMLType? = nil
  /// The index of its file in `TensorCatalog.files`.
  public internal(set) var file: Int
  /// The first byte, from the start of the file. Any alignment.
  public let offset: Int
  public let byteCount: Int

  init(
    name: String, elementType: ElementType, shape: Shape, ggmlType: GGMLType? = nil, file: Int, offset: Int,
    byteCount: Int
  ) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
    self.ggmlType = ggmlType
    self.file = file
    self.offset = offset
    self.byteCount = byteCount
  }

  /// A tensor that is in memory and in no file.
  ///
  /// - Returns: nil where it can't be counted.
  package init?(inMemory tensor: TensorDeclaration) {
    guard let byteCount = tensor.byteCount else { return nil }
    self.init(
      name: tensor.name, elementType: tensor.elementType, shape: tensor.shape, file: 0, offset: 0,
      byteCount: byteCount)
  }

  /// A tensor of a GGUF file.
  ///
  /// - Parameter shape: in weights; its last extent is a whole number of blocks.
  init(name: String, type: GGMLType, shape: Shape, offset: Int, byteCount: Int) {
    let isPlain = type.elementType != nil
    let stored =
      isPlain ? shape : Shape(shape.dimensions.dropLast() + [type.byteCount(ofRow: shape.dimensions.last!)!])
    self.init(
      name: name, elementType: type.elementType ?? .u8, shape: stored, ggmlType: isPlain ? nil : type, file: 0,
      offset: offset, byteCount: byteCount)
  }

  /// The shape in weights, also where they are stored as blocks.
  public var logicalShape: Shape {
    guard let ggmlType, let rowBytes = shape.dimensions.last else { return shape }
    return Shape(shape.dimensions.dropLast() + [rowBytes / ggmlType.blockBytes * ggmlType.blockElements])
  }

  /// The name of its type in the field, e.g. `BF16` or `Q4_K`.
  public var typeName: String { ggmlType?.name ?? elementType.rawValue }
}
