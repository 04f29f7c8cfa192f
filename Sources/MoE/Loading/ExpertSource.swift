// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
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
        for part in matrix.parts { specification.codes[part.projection] = matrix.form(form, of: part) }
      } else {
        types.insert(matrix.denseType ?? .f32)
      }
    }
    specification.elementType = types.count == 1 ? types.first! : .f32
    specification.activations = Self.activations(experts.first ?? [])
    self.specification = specification
    self.layoutName = layoutName
    self.experts = experts
  }

  /// What is declared for both products. Gate and up have one input.
  private static func activations(_ matrices: [MatrixSource]) -> ActivationSchemes {
    var declared: [Projection: ActivationScheme] = [:]
    for matrix in matrices {
      for part in matrix.parts { declared[part.projection] = matrix.scheme.parameters.activations }
    }
    var schemes = ActivationSchemes.unquantized
    for (projection, scheme) in declared { schemes[projection] = scheme }
    if let gate = declared[.gate], let up = declared[.up], gate != up {
      schemes.gateUp = .unknown("gate \(gate), up \(up)")
    }
    return schemes
  }

  /// The bits of weights and activations and what is done to the latter, for people: `W8A8, activations fp8,
  /// dynamic per token`. nil where nothing is quantised.
  public var activationFormat: String? {
    let bits = Set(formats.values.filter { $0.parameters.form != .dense16 }.map(\.parameters.bits))
    guard let least = bits.min(), let greatest = bits.max() else { return nil }
    let schemes = specification.activations
    let inputs = Set([schemes.gateUp.bits, schemes.down.bits].compactMap(\.self)).sorted()
    let name =
      "W" + (least == greatest ? "\(least)" : "\(least)-\(greatest)") + "A"
      + (inputs.isEmpty ? "?" : inputs.map { "\($0)" }.joined(separator: "-"))
    return schemes == .unquantized ? name : "\(name), activations \(schemes)"
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

  /// The tensors they are stored in, by name.
  public var tensors: [TensorRecord] {
    Set(experts.joined().flatMap(\.pieces).map(\.tensor)).sorted { $0.name < $1.name }
  }

  /// Bytes of the experts in their files.
  public var storedBytes: Int { experts.joined().reduce(0) { $0 + $1.byteCount } }
}
