// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
public import Tensors

/// The tensors that a checkpoint has for one projection: what a scheme is recognised by. Headers only.
///
/// ```swift
/// let found = ProjectionTensors("model.layers.0.mlp.experts.0.up_proj", in: catalog)
/// found.tensors.keys    // ".weight_packed", ".weight_scale", ".weight_shape"
/// ```
public struct ProjectionTensors: Sendable {
  /// A stored tensor without its bytes.
  public struct Header: Sendable, Hashable {
    public var elementType: ElementType
    /// Of blocks, the last extent counts the bytes of a row.
    public var shape: Shape
    /// What the blocks of a GGUF tensor are; nil for plain elements.
    public var ggmlType: GGMLType?

    public init(_ elementType: ElementType, _ shape: Shape, ggmlType: GGMLType? = nil) {
      self.elementType = elementType
      self.shape = shape
      self.ggmlType = ggmlType
    }
  }

  /// What their names begin with: the name of a module, or of a fused parameter.
  public var stem: String
  /// By the ending of the name below the stem: empty, or with `.` or `_` in front.
  public var tensors: [String: Header]
  /// Whether they hold all experts along a leading axis.
  public var isStacked: Bool

  public init(_ stem: String, _ tensors: [String: Header], isStacked: Bool = false) {
    self.stem = stem
    self.tensors = tensors
    self.isStacked = isStacked
  }

  /// The tensors of a stem among those of a checkpoint.
  ///
  /// - Complexity: O(log n) and the number of names that begin with the stem.
  public init(_ stem: String, in catalog: TensorCatalog, isStacked: Bool = false) {
    let records = catalog.records
    var (low, high) = (0, records.count)
    while low < high {
      let middle = (low + high) / 2
      if records[middle].name < stem { low = middle + 1 } else { high = middle }
    }
    var tensors: [String: Header] = [:]
    while low < records.count, records[low].name.hasPrefix(stem) {
      let ending = String(records[low].name.dropFirst(stem.count))
      if ending.isEmpty || ending.hasPrefix(".") || ending.hasPrefix("_") {
        tensors[ending] = Header(
          records[low].elementType, records[low].shape, ggmlType: records[low].ggmlType)
      }
      low += 1
    }
    self.init(stem, tensors, isStacked: isStacked)
  }

  /// The first of these endings that is present.
  public func first(_ endings: [String]) -> (ending: String, header: Header)? {
    for ending in endings {
      if let header = tensors[ending] { return (ending, header) }
    }
    return nil
  }

  public subscript(ending: String) -> Header? { tensors[ending] }

  /// The shape of a tensor for one expert.
  public func shape(_ header: Header) -> Shape {
    isStacked ? Shape(Array(header.shape.dimensions.dropFirst())) : header.shape
  }

  /// The endings, sorted, for messages.
  public var endings: String { tensors.keys.sorted().map { $0.isEmpty ? "(none)" : $0 }.joined(separator: ", ") }
}
