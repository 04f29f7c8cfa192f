// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// A matrix of one expert in its new format: the tensors it is written to, and where in them.
struct ConvertedMatrix: Sendable {
  let layer: Int
  let expert: Int
  let place: ProjectionLayout
  let parts: [MatrixSource.Part]
  /// `[out, in]`, gate and up together where they share a tensor.
  let rows: Int
  let columns: Int
  let scheme: any QuantizationScheme
  let roles: [TensorRole]
  /// One for each role; shared by all experts where the layout is fused.
  let tensors: [TensorDeclaration]

  /// Every matrix of every expert of a layer.
  static func all(
    of layer: MoEModel.Layer, _ layout: ExpertLayout, _ scheme: any QuantizationScheme
  ) throws(MoEError) -> [Self] {
    var matrices: [Self] = []
    let specification = layer.specification
    for expert in 0..<specification.expertCount {
      for (place, parts) in layout.matrices(of: specification.projections) {
        let sizes = specification.sizes(of: parts[0].projection)
        var tensors: [(role: TensorRole, declaration: TensorDeclaration)] = []
        if let plain = scheme as? Unquantized {
          tensors.append(
            (
              .weight,
              TensorDeclaration(
                layer.prefix + place.name(.weight, expert: expert), plain.elementType, place.shape(.weight, sizes))
            ))
        } else {
          tensors = try place.encodedTensors(expert: expert, sizes, scheme, prefix: layer.prefix)
        }
        if specification.hasBias {
          let source = layer.experts.experts[expert].lazy.compactMap { $0[.bias] }.first
          tensors.append(
            (
              .bias,
              TensorDeclaration(
                layer.prefix + place.name(.bias, expert: expert), source?.tensor.elementType ?? .bf16,
                place.shape(.bias, sizes))
            ))
        }
        matrices.append(
          Self(
            layer: layer.index, expert: expert, place: place, parts: parts,
            rows: place.part == .whole ? sizes.rows : 2 * sizes.rows, columns: sizes.columns, scheme: scheme,
            roles: tensors.map(\.role), tensors: tensors.map(\.declaration)))
      }
    }
    return matrices
  }

  /// The bytes of each tensor, and where they begin in it.
  ///
  /// - Parameter values: all tensors of the expert.
  func encoded(_ values: [ExpertTensor]) throws(MoEError) -> [(name: String, offset: Int, bytes: [UInt8])] {
    let isStacked = place.expertAxis != .none
    var stored: StoredProjection?
    if !(scheme is Unquantized) {
      stored = try scheme.encode(
        joined(values, .weight), rows: rows, columns: columns, name: tensors[0].name)
    }
    return zip(roles, tensors).map { role, tensor in
      let bytes =
        if role != .bias, let stored { stored.tensors[role]!.bytes } else {
          tensor.elementType.encode(role == .bias ? joined(values, .bias) : oriented(joined(values, .weight)))
        }
      return (tensor.name, isStacked ? expert * bytes.count : 0, bytes)
    }
  }

  /// The rows of the parts as the layout arranges them.
  private func joined(_ values: [ExpertTensor], _ role: TensorRole) -> [Float] {
    let tensors = parts.map { part in values.first { $0.projection == part.projection && $0.role == role }! }
    guard case .alternate = place.part else { return tensors.flatMap(\.values) }
    return (0..<tensors[0].rows).flatMap { row in
      tensors.flatMap { $0.values[row * $0.columns..<(row + 1) * $0.columns] }
    }
  }

  private func oriented(_ matrix: [Float]) -> [Float] {
    guard place.isInputMajor else { return matrix }
    return (0..<columns).flatMap { column in (0..<rows).map { matrix[$0 * columns + column] } }
  }
}
