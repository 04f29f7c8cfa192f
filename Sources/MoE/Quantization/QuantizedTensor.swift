// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// The declaration of one tensor of a projection on disk.
public struct QuantizedTensor: Sendable, Hashable {
  public var role: TensorRole
  /// The endings of its name below the projection's, the usual one first. A fused tensor is a parameter without
  /// `.weight`; hence also endings such as `_scale_inv` and the empty one.
  public var suffixes: [String]
  /// The element types that it may have.
  public var elementTypes: [ElementType]
  /// The arrangements that it may have, the usual one first. `[]` is a scalar.
  public var layouts: [[StoredAxis]]
  public var isRequired: Bool
  /// The blocks that its bytes are; nil for plain elements.
  public var ggmlType: GGMLType? = nil

  public init(
    _ role: TensorRole, _ suffixes: [String], _ elementTypes: [ElementType], layouts: [[StoredAxis]],
    isRequired: Bool = true
  ) {
    self.role = role
    self.suffixes = suffixes
    self.elementTypes = elementTypes
    self.layouts = layouts
    self.isRequired = isRequired
  }

  public init(
    _ role: TensorRole, _ suffixes: [String], _ elementTypes: [ElementType], _ layout: [StoredAxis],
    isRequired: Bool = true
  ) {
    self.init(role, suffixes, elementTypes, layouts: [layout], isRequired: isRequired)
  }

  /// One number for the projection, as a scalar or as an array of one.
  public static func scalar(
    _ role: TensorRole, _ suffixes: [String], _ elementTypes: [ElementType] = [.f32, .bf16, .f16],
    isRequired: Bool = true
  ) -> Self {
    Self(role, suffixes, elementTypes, layouts: [[], [.fixed(1)], [.fixed(1), .fixed(1)]], isRequired: isRequired)
  }

  /// The shapes that it may have for a matrix of this size, the usual one first; none when the matrix does not divide.
  public func shapes(rows: Int, columns: Int) -> [Shape] {
    layouts.compactMap { layout in
      let extents = layout.compactMap { $0.extent(rows: rows, columns: columns) }
      return extents.count == layout.count ? Shape(extents) : nil
    }
  }

  /// Whether it may be of this type.
  public func accepts(_ type: ElementType, ggmlType: GGMLType?) -> Bool {
    elementTypes.contains(type) && self.ggmlType == ggmlType
  }

  /// The types that it may have, for messages.
  var typeNames: String { ggmlType?.name ?? elementTypes.map(\.rawValue).joined(separator: " or ") }

  /// The arrangement that gives this shape for a matrix of this size; nil when none does.
  public func layout(of shape: Shape, rows: Int, columns: Int) -> [StoredAxis]? {
    layouts.first { layout in
      layout.count == shape.rank
        && zip(layout, shape.dimensions).allSatisfy { axis, extent in
          axis == .any || axis.extent(rows: rows, columns: columns) == extent
        }
    }
  }

  /// Whether it may have this shape for a matrix of this size.
  public func accepts(_ shape: Shape, rows: Int, columns: Int) -> Bool {
    layout(of: shape, rows: rows, columns: columns) != nil
  }
}
