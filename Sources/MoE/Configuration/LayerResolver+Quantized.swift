// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension LayerResolver {
  /// The schemes of the projections that are quantised, found by the tensors of the first expert; nil where nobody
  /// knows what they mean.
  mutating func schemes(
    _ layout: ExpertLayout, _ specification: LayerSpecification
  ) -> [Projection: any QuantizationScheme]? {
    var schemes: [Projection: any QuantizationScheme] = [:]
    for projection in specification.projections {
      let place = layout[projection]!
      if let plain = tensors[place.name(.weight, expert: 0)], Self.plainTypes.contains(plain.elementType) { continue }
      let found = ProjectionTensors(
        tensors.prefix + place.stem(expert: 0), in: catalog, isStacked: place.expertAxis != .none)
      // Without any tensor it is a plain weight that is missing.
      guard found.tensors.keys.contains(where: { $0 != place.biasSuffix }) else { continue }
      guard place.expertAxis != .merged else {
        fault(.unsupported, "quantised experts whose rows are merged are not read", subject: found.stem)
        return nil
      }
      let settings = quantization
      let scheme = attempt { () throws(MoEError) in try QuantizationRegistry.standard.scheme(of: found, settings) }
      guard let scheme else { return nil }
      if !(scheme is Unquantized) { schemes[projection] = scheme }
    }
    return schemes
  }

  static let plainTypes: Set<ElementType> = [.bf16, .f16, .f32]

  /// The tensors of every quantised projection, checked against what the scheme declares.
  mutating func quantizedTransfers(
    _ layout: ExpertLayout, _ specification: LayerSpecification, _ schemes: [Projection: any QuantizationScheme]
  ) -> [[QuantizedTransfer]] {
    (0..<specification.expertCount).map { expert in
      specification.projections.compactMap { projection in
        guard let scheme = schemes[projection], !isFull else { return nil }
        let place = layout[projection]!
        let sizes = specification.sizes(of: projection)
        return transfer(
          expert, projection, place, scheme, rows: place.part == .whole ? sizes.rows : 2 * sizes.rows,
          columns: sizes.columns, expertCount: sizes.experts)
      }
    }
  }

  private mutating func transfer(
    _ expert: Int, _ projection: Projection, _ place: ProjectionLayout, _ scheme: any QuantizationScheme, rows: Int,
    columns: Int, expertCount: Int
  ) -> QuantizedTransfer? {
    let stem = place.stem(expert: expert)
    let isStacked = place.expertAxis == .leading
    var pieces: [QuantizedTransfer.Piece] = []
    for declared in scheme.tensors {
      guard let name = declared.suffixes.lazy.map({ stem + $0 }).first(where: { tensors[$0] != nil }),
        let tensor = tensors[name]
      else {
        if declared.isRequired {
          fault(
            .missingTensor, "\(scheme.name): the \(declared.role) is missing",
            subject: tensors.prefix + stem + declared.suffixes[0],
            expected: declared.shapes(rows: rows, columns: columns).first?.description)
        }
        continue
      }
      consumed.insert(name)
      var dimensions = tensor.shape.dimensions
      let hasExperts = !isStacked || (dimensions.first == expertCount)
      if isStacked && hasExperts { dimensions.removeFirst() }
      guard hasExperts, declared.accepts(Shape(dimensions), rows: rows, columns: columns) else {
        let shape = declared.shapes(rows: rows, columns: columns).first.map { shape in
          isStacked ? Shape([expertCount] + shape.dimensions) : shape
        }
        fault(
          .shapeMismatch, "\(scheme.name): the \(declared.role) has another shape than declared", tensor: tensor,
          expected: shape?.description ?? "a matrix whose sizes divide", found: "\(tensor.shape)")
        continue
      }
      guard declared.accepts(tensor.elementType, ggmlType: tensor.ggmlType) else {
        fault(
          .typeMismatch, "\(scheme.name): the \(declared.role) is of another type than declared", tensor: tensor,
          expected: declared.typeNames, found: tensor.typeName)
        continue
      }
      let size = isStacked ? tensor.byteCount / expertCount : tensor.byteCount
      let start = isStacked ? expert * size : 0
      pieces.append(
        QuantizedTransfer.Piece(
          role: declared.role, tensor: tensor, shape: dimensions, byteRange: start..<start + size))
    }
    return QuantizedTransfer(
      expert: LogicalExpert(rawValue: expert), projection: projection, scheme: scheme, stem: tensors.prefix + stem,
      rows: rows, columns: columns, part: place.part, pieces: pieces)
  }
}
