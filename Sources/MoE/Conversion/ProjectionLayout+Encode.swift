// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension ProjectionLayout {
  /// A scheme as experts of this layout are stored in it: `[in, out]` where the layout is, and the scheme can be.
  ///
  /// - Throws: `unsupported` where nobody could tell the orientation of what was written.
  func oriented(_ scheme: any QuantizationScheme, _ sizes: Sizes) throws(MoEError) -> any QuantizationScheme {
    guard isInputMajor else { return scheme }
    if let turned = scheme.inputMajor { return turned }
    let rows = part == .whole ? sizes.rows : 2 * sizes.rows
    let weight = scheme.tensors.first { $0.role == .weight }
    guard rows == sizes.columns, weight?.shapes(rows: rows, columns: rows).first == [rows, rows],
      weight?.suffixes.contains(weightSuffix) ?? false
    else { return scheme }
    throw MoEError(
      .unsupported, "weights of \(scheme.name) could be read as [out, in] and as [in, out]", subject: stem,
      expected: "experts that are not square, or fp8 with a scale for each row or for all", found: "[\(rows), \(rows)]")
  }

  /// The tensors that a scheme writes for a matrix of one expert, or for those of all where they share them.
  ///
  /// - Throws: `shapeMismatch` for sizes that don't divide, `unsupported` for a format that is only read.
  func encodedTensors(
    expert: Int, _ sizes: Sizes, _ scheme: any QuantizationScheme, prefix: String
  ) throws(MoEError) -> [(role: TensorRole, declaration: TensorDeclaration)] {
    let stem = prefix + stem(expert: expert)
    let headers = try scheme.encodedTensors(
      rows: part == .whole ? sizes.rows : 2 * sizes.rows, columns: sizes.columns, name: stem)
    return headers.map { declared, header in
      // A fused parameter has no `.weight` at its end, and its tensors have endings with `_`.
      let suffix = declared.suffixes.first { weightSuffix.isEmpty != $0.hasPrefix(".") } ?? declared.suffixes[0]
      let shape = expertAxis == .leading ? Shape([sizes.experts] + header.shape.dimensions) : header.shape
      return (declared.role, TensorDeclaration(stem + suffix, header.elementType, shape))
    }
  }
}
