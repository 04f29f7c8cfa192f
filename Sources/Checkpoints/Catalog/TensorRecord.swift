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
}

/// A tensor in a file: what it is and where its bytes are. Validated: the bytes are in the file, and their number is
/// that of the shape and the type.
public struct TensorRecord: Sendable, Hashable {
  public let name: String
  public let elementType: ElementType
  public let shape: Shape
  /// The index of its file in `TensorCatalog.files`.
  public internal(set) var file: Int
  /// The first byte, from the start of the file. Any alignment.
  public let offset: Int
  public let byteCount: Int
}
