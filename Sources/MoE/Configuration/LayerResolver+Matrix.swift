// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension LayerResolver {
  /// The scheme of a matrix, found by the tensors of the first expert; nil where nobody knows what they mean.
  mutating func scheme(
    _ place: ProjectionLayout, _ sizes: ProjectionLayout.Sizes
  ) -> (any QuantizationScheme)? {
    let weight = tensors[place.name(.weight, expert: 0)]
    if let plain = weight, Self.plainTypes.contains(plain.elementType) {
      return Unquantized(plain.elementType)
    }
    let stem = place.stem(expert: 0)
    // The catalog is sorted, and quick to search; but its names are as they are stored.
    let found =
      tensors.isWrapped
      ? tensors.projectionTensors(stem, isStacked: place.expertAxis != .none)
      : ProjectionTensors(tensors.prefix + stem, in: catalog, isStacked: place.expertAxis != .none)
    // Without any tensor it is a plain weight that is missing.
    guard found.tensors.keys.contains(where: { $0 != place.biasSuffix }) else { return Unquantized(.bf16) }
    guard place.expertAxis != .merged else {
      fault(.unsupported, "quantised experts whose rows are merged are not read", subject: found.stem)
      return nil
    }
    let settings = quantization
    let scheme = attempt { () throws(MoEError) in try QuantizationRegistry.standard.scheme(of: found, settings) }
    guard let scheme, place.isInputMajor, let weight, weight.shape == place.shape(.weight, sizes) else { return scheme }
    if let turned = scheme.inputMajor { return turned }
    fault(
      .unsupported, "\(scheme.name) has no defined form with weights [in, out]", tensor: weight,
      expected: "weights [out, in], or fp8 with a scale for each row or for all")
    return nil
  }

  static let plainTypes: Set<ElementType> = [.bf16, .f16, .f32]

  /// A matrix of an expert, its tensors checked against what the scheme and the layout declare; without those that are
  /// at fault.
  mutating func matrix(
    _ name: String, _ place: ProjectionLayout, _ expert: Int, _ scheme: any QuantizationScheme,
    _ specification: LayerSpecification, _ parts: [MatrixSource.Part]
  ) -> MatrixSource {
    let sizes = specification.sizes(of: parts[0].projection)
    let stem = place.stem(expert: expert)
    var matrix = MatrixSource(
      expert: LogicalExpert(rawValue: expert), scheme: scheme, stem: tensors.prefix + stem,
      rows: place.part == .whole ? sizes.rows : 2 * sizes.rows, columns: sizes.columns, parts: parts, pieces: [])
    let count = place.expertAxis == .none ? 1 : sizes.experts
    if scheme is Unquantized {
      if let tensor = plain(name, place, expert, .weight, sizes) {
        matrix.scheme = Unquantized(tensor.elementType)
        matrix.add(.weight, tensor, place.isInputMajor ? [.columns, .rows] : [.rows, .columns], of: count)
      }
    } else {
      for declared in scheme.tensors {
        guard let (tensor, axes) = tensor(declared, stem, of: matrix, isStacked: place.expertAxis == .leading, sizes)
        else { continue }
        matrix.add(declared.role, tensor, axes, of: count)
      }
    }
    if specification.hasBias {
      plain(name, place, expert, .bias, sizes).map { matrix.add(.bias, $0, [.rows], of: count) }
    }
    return matrix
  }

  /// A tensor of plain numbers.
  private mutating func plain(
    _ name: String, _ place: ProjectionLayout, _ expert: Int, _ role: TensorRole, _ sizes: ProjectionLayout.Sizes
  ) -> TensorRecord? {
    tensor([place.name(role, expert: expert)], "\(name) \(role)", shapes: [place.shape(role, sizes)])
  }

  /// A tensor that a scheme declares, and what its axes run over.
  private mutating func tensor(
    _ declared: QuantizedTensor, _ stem: String, of matrix: MatrixSource, isStacked: Bool,
    _ sizes: ProjectionLayout.Sizes
  ) -> (TensorRecord, [StoredAxis])? {
    let (scheme, rows, columns) = (matrix.scheme, matrix.rows, matrix.columns)
    guard let name = declared.suffixes.lazy.map({ stem + $0 }).first(where: { tensors[$0] != nil }),
      let tensor = tensors[name]
    else {
      if declared.isRequired {
        fault(
          .missingTensor, "\(scheme.name): the \(declared.role) is missing",
          subject: tensors.prefix + stem + declared.suffixes[0],
          expected: declared.shapes(rows: rows, columns: columns).first?.description)
      }
      return nil
    }
    consume(name, as: "\(declared.role) of the experts")
    var dimensions = tensor.shape.dimensions
    // A number of the whole fused tensor.
    let isShared =
      isStacked && sizes.experts > 1 && declared.layouts.contains([]) && (dimensions == [] || dimensions == [1])
    let hasExperts = !isStacked || isShared || dimensions.first == sizes.experts
    if isStacked && !isShared && hasExperts { dimensions.removeFirst() }
    guard hasExperts, let axes = declared.layout(of: Shape(dimensions), rows: rows, columns: columns) else {
      let shape = declared.shapes(rows: rows, columns: columns).first.map { shape in
        isStacked ? Shape([sizes.experts] + shape.dimensions) : shape
      }
      fault(
        .shapeMismatch, "\(scheme.name): the \(declared.role) has another shape than declared", tensor: tensor,
        expected: shape?.description ?? "a matrix whose sizes divide", found: "\(tensor.shape)")
      return nil
    }
    guard declared.accepts(tensor.elementType, ggmlType: tensor.ggmlType) else {
      fault(
        .typeMismatch, "\(scheme.name): the \(declared.role) is of another type than declared", tensor: tensor,
        expected: declared.typeNames, found: tensor.typeName)
      return nil
    }
    return (tensor, axes)
  }
}
