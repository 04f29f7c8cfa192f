// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The part of a matrix that must be quantised together for a slice of it to become what it is in the whole matrix.
///
/// Groups and blocks that the slice cuts belong to it; so do all columns where a row has one scale, and all of the
/// matrix where that has one.
struct EncodedRegion: Sendable, Hashable {
  var rows: Range<Int>
  var columns: Range<Int>

  /// The tensors that weights share.
  private static let roles: Set<TensorRole> = [.weight, .scale, .nestedScale, .globalScale, .zeroPoint]

  /// - Parameters:
  ///   - scheme: what the projections of the matrix are quantised to; nil where they stay what they are.
  ///   - rows: of each projection.
  init(_ scheme: (any QuantizationScheme)?, rows: Range<Int>, columns: Range<Int>, of matrix: MatrixSource) {
    (self.rows, self.columns) = (rows, columns)
    guard let scheme else { return }
    let size = (rows: matrix.rows / (matrix.parts[0].rows == .whole ? 1 : 2), columns: matrix.columns)
    for tensor in scheme.tensors where tensor.isRequired && Self.roles.contains(tensor.role) {
      let axes = tensor.layouts[0]
      if let flat = axes.first(where: { $0.extent == .elements }) {
        // Groups of the matrix laid out flat begin anew in each row where they divide it.
        if size.columns % flat.step == 0 {
          self.columns = self.columns.rounded(to: flat.step, below: size.columns)
        } else {
          (self.rows, self.columns) = (0..<size.rows, 0..<size.columns)
        }
        continue
      }
      let steps = [StoredAxis.Extent.rows, .columns].map { extent in axes.first { $0.extent == extent }?.step ?? .max }
      self.rows = self.rows.rounded(to: steps[0], below: size.rows)
      self.columns = self.columns.rounded(to: steps[1], below: size.columns)
    }
  }
}

extension Range<Int> {
  /// With its ends moved outwards to multiples of a step; an empty range stays.
  fileprivate func rounded(to step: Int, below limit: Int) -> Self {
    guard !isEmpty, step > 1 else { return self }
    let end = upperBound % step == 0 ? upperBound : upperBound / step * step + Swift.min(step, limit)
    return lowerBound / step * step..<Swift.min(limit, end)
  }
}

extension QuantizationScheme {
  /// Rows or columns that no step of what weights share crosses: what a cut falls between.
  func step(along extent: StoredAxis.Extent, of length: Int) -> Int {
    let axes = tensors.filter(\.isRequired).flatMap { $0.layouts[0] }
    // A step that is longer than the matrix is no block of it.
    return axes.filter { ($0.extent == extent || $0.extent == .elements) && $0.step <= length }
      .reduce(1) { leastCommonMultiple($0, $1.step) }
  }
}
