// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// Where the tensors of a group of experts stand in a checkpoint.
public struct ExpertSource: Sendable {
  public let specification: LayerSpecification
  /// The arrangement, for example `fused, output-major`.
  public let layoutName: String
  /// The matrices of each logical expert.
  public let experts: [[MatrixSource]]

  /// - Parameter specification: its types follow from the matrices.
  init(specification: LayerSpecification, layoutName: String, experts: [[MatrixSource]]) {
    var specification = specification
    var types: Set<ElementType> = []
    specification.codes = [:]
    for matrix in experts.first ?? [] {
      if let form = matrix.codedForm {
        for part in matrix.parts { specification.codes[part.projection] = form }
      } else {
        types.insert(matrix.denseType ?? .f32)
      }
    }
    specification.elementType = types.count == 1 ? types.first! : .f32
    self.specification = specification
    self.layoutName = layoutName
    self.experts = experts
  }

  /// The format of each projection.
  public var formats: [Projection: any QuantizationScheme] {
    var formats: [Projection: any QuantizationScheme] = [:]
    for matrix in experts.first ?? [] {
      for part in matrix.parts { formats[part.projection] = matrix.scheme }
    }
    return formats
  }

  /// The type of the stored weights, or their formats, for people: one name, or one for each projection.
  public var format: String {
    let formats = self.formats
    let names = specification.projections.compactMap { projection in
      formats[projection].map { (projection, $0.name) }
    }
    let distinct = Set(names.map(\.1))
    if distinct.count == 1, let name = distinct.first { return name }
    return names.map { "\($0.0.rawValue) \($0.1)" }.joined(separator: ", ")
  }

  /// Bytes of the experts in their files.
  public var storedBytes: Int { experts.joined().reduce(0) { $0 + $1.byteCount } }
}
