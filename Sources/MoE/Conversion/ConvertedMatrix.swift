// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// A matrix of one expert in its new format: the tensors it is written to, and where in them.
struct ConvertedMatrix: Sendable {
  let expert: Int
  let place: ProjectionLayout
  let parts: [MatrixSource.Part]
  /// `[out, in]`, gate and up together where they share a tensor.
  let rows: Int
  let columns: Int
  let form: Form
  let roles: [TensorRole]
  /// One for each role; shared by all experts where the layout is fused.
  let tensors: [OutputTensor]
  /// Where the weights already stand in the new format.
  private let copies: [CopiedRows]

  /// How weights are written.
  enum Form: Sendable {
    case plain(ElementType)
    case scheme(any QuantizationScheme)
    case blocks(GGMLType)
  }

  /// Rows of blocks that are copied, byte for byte.
  private struct CopiedRows: Sendable {
    var tensor: TensorRecord
    var range: Range<Int>
  }

  /// Every matrix of every expert.
  ///
  /// - Parameters:
  ///   - prefix: what the names of the new tensors begin with.
  ///   - biasType: the type of biases; their own when nil.
  static func all(
    of source: ExpertSource, prefix: String, _ layout: ExpertLayout, _ form: Form, biasType: ElementType? = nil
  ) throws(MoEError) -> [Self] {
    var matrices: [Self] = []
    let specification = source.specification
    for (place, parts) in layout.matrices(of: specification.projections) {
      let sizes = specification.sizes(of: parts[0].projection)
      var form = form
      if case .scheme(let scheme) = form { form = .scheme(try place.oriented(scheme, sizes)) }
      for expert in 0..<specification.expertCount {
        var tensors = try weights(of: expert, prefix, place, sizes, form)
        if specification.hasBias {
          let bias = source.experts[expert].lazy.compactMap { $0[.bias] }.first
          tensors.append(
            (
              .bias,
              OutputTensor(
                prefix + place.name(.bias, expert: expert), biasType ?? bias?.tensor.elementType ?? .bf16,
                place.shape(.bias, sizes))
            ))
        }
        matrices.append(
          Self(
            expert: expert, place: place, parts: parts,
            rows: place.part == .whole ? sizes.rows : 2 * sizes.rows, columns: sizes.columns, form: form,
            roles: tensors.map(\.role), tensors: tensors.map(\.tensor),
            copies: copies(parts, of: source.experts[expert], form)))
      }
    }
    return matrices
  }

  private static func weights(
    of expert: Int, _ prefix: String, _ place: ProjectionLayout, _ sizes: ProjectionLayout.Sizes, _ form: Form
  ) throws(MoEError) -> [(role: TensorRole, tensor: OutputTensor)] {
    let (name, shape) = (prefix + place.name(.weight, expert: expert), place.shape(.weight, sizes))
    switch form {
    case .plain(let type): return [(.weight, OutputTensor(name, type, shape))]
    case .blocks(let type): return [(.weight, try OutputTensor(name, type, shape))]
    case .scheme(let scheme):
      return try place.encodedTensors(expert: expert, sizes, scheme, prefix: prefix).map {
        ($0.role, OutputTensor($0.declaration.name, $0.declaration.elementType, $0.declaration.shape))
      }
    }
  }

  /// The rows of all parts, where they are blocks of the same type with no scale beside them; none where they are not.
  private static func copies(_ parts: [MatrixSource.Part], of matrices: [MatrixSource], _ form: Form) -> [CopiedRows] {
    guard case .blocks(let type) = form else { return [] }
    let copies = parts.compactMap { part -> CopiedRows? in
      for matrix in matrices {
        guard let stored = matrix.parts.first(where: { $0.projection == part.projection }),
          let piece = matrix[.weight], piece.tensor.ggmlType == type, matrix[.globalScale] == nil
        else { continue }
        let rows = matrix.storedRows(stored.rows, 0..<matrix.rows / (stored.rows == .whole ? 1 : 2))
        let width = piece.byteCount / matrix.rows
        guard rows.step == 1 else { return nil }
        let start = piece.offset + rows.first * width
        return CopiedRows(tensor: piece.tensor, range: start..<start + rows.count * width)
      }
      return nil
    }
    return copies.count == parts.count ? copies : []
  }

  /// Whether it takes the values of the expert.
  var needsValues: Bool { copies.isEmpty || roles.contains(.bias) }

  /// The bytes of each tensor, and where they begin in it.
  ///
  /// - Parameter values: all tensors of the expert; none unless ``needsValues``.
  func encoded(
    _ values: [ExpertTensor], from catalog: TensorCatalog
  ) throws(MoEError) -> [(name: String, offset: Int, bytes: [UInt8])] {
    var stored: [TensorRole: [UInt8]] = [:]
    switch form {
    case .plain(let type): stored[.weight] = type.encode(oriented(joined(values, .weight)))
    case .blocks(let type):
      stored[.weight] = copies.isEmpty ? type.encode(joined(values, .weight)) : try copied(from: catalog)
    case .scheme(let scheme):
      let encoded = try scheme.encode(joined(values, .weight), rows: rows, columns: columns, name: tensors[0].name)
      stored = encoded.tensors.mapValues(\.bytes)
    }
    return zip(roles, tensors).map { role, tensor in
      let bytes = role == .bias ? tensor.elementType.encode(joined(values, .bias)) : stored[role]!
      return (tensor.name, place.expertAxis == .none ? 0 : expert * bytes.count, bytes)
    }
  }

  private func copied(from catalog: TensorCatalog) throws(MoEError) -> [UInt8] {
    do throws(CheckpointError) {
      return try copies.map { (rows) throws(CheckpointError) in
        try catalog.bytes(of: rows.tensor, in: rows.range)
      }.flatMap(\.self)
    } catch {
      throw MoEError(error.faults)
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
