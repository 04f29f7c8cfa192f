// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A tensor with its bytes.
public struct StoredTensor: Sendable, Hashable {
  public var elementType: ElementType
  public var shape: Shape
  /// Little-endian, as in a file.
  public var bytes: [UInt8]

  public init(_ elementType: ElementType, _ shape: Shape, _ bytes: [UInt8]) {
    self.elementType = elementType
    self.shape = shape
    self.bytes = bytes
  }

  /// All elements as 32-bit floats. U8 is a whole number here.
  var floats: [Float] { elementType.decode(bytes) }

  /// All elements as scales: U8 stands for e8m0.
  var scales: [Float] { elementType == .u8 ? bytes.map(E8M0.decode) : floats }
}

/// The tensors of one projection of one expert, and its logical size.
///
/// Of a fused tensor, one expert's part: its leading axis is cut off.
public struct StoredProjection: Sendable, Hashable {
  /// For messages.
  public var name: String
  /// *out*
  public var rows: Int
  /// *in*
  public var columns: Int
  public var tensors: [TensorRole: StoredTensor]

  public init(_ name: String = "", rows: Int, columns: Int, _ tensors: [TensorRole: StoredTensor]) {
    self.name = name
    self.rows = rows
    self.columns = columns
    self.tensors = tensors
  }
}
