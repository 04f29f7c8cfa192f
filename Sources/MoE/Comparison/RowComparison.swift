// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CMoEKernels

/// Sums over the weights of two matrices of one size.
package struct RowComparison: Sendable {
  /// Weights that were compared.
  package private(set) var count = 0
  /// Σ of the squares of the first, of the second, and of their differences; not finite where a weight is not.
  package private(set) var squares = (first: 0.0, second: 0.0, difference: 0.0)
  /// The greatest |difference|, and its row; NaN where a weight is.
  package private(set) var greatest: Float = 0
  package private(set) var greatestRow = 0

  package init() {}

  /// Rows that are decoded at a time where the kernels can't read what is stored.
  private static let decodedRows = 32

  /// Adds rows of two matrices.
  ///
  /// - Parameter firstRow: the number of the first.
  /// - Precondition: They have the same size.
  package mutating func add(_ first: RowBlock, _ second: RowBlock, firstRow: Int) {
    precondition(first.rows == second.rows && first.columns == second.columns, "rows of two sizes")
    var sum = moe_row_comparison(
      a_squares: squares.first, b_squares: squares.second, difference_squares: squares.difference, greatest: greatest,
      greatest_row: Int64(greatestRow))
    let columns = first.columns
    let isDirect = first.isKernelRows && second.isKernelRows
    let step = isDirect ? max(1, first.rows) : Self.decodedRows
    for start in stride(from: 0, to: first.rows, by: step) {
      let rows = start..<min(start + step, first.rows)
      unsafe first.withKernelRows(rows) { a in
        unsafe second.withKernelRows(rows) { b in
          unsafe moe_compare_rows(Kernels.best, a, b, Int64(firstRow + start), Int64(rows.count), Int64(columns), &sum)
        }
      }
    }
    count += first.rows * columns
    squares = (sum.a_squares, sum.b_squares, sum.difference_squares)
    (greatest, greatestRow) = (sum.greatest, Int(sum.greatest_row))
  }
}

extension RowBlock {
  /// Whether the kernels read what is stored.
  fileprivate var isKernelRows: Bool {
    unsafe kernelRows?.withKernelRows(places) { _ in true } ?? false
  }

  /// As the kernels read them: decoded first, if need be.
  fileprivate func withKernelRows(_ rows: Range<Int>, _ body: (UnsafePointer<moe_stored_rows>) -> Void) {
    let places = StridedRows(
      first: self.places.first + rows.lowerBound * self.places.step, step: self.places.step, count: rows.count)
    if unsafe kernelRows?.withKernelRows(places, body) != nil { return }
    let values = floats(rows)
    unsafe values.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return }
      var view = unsafe moe_stored_rows_dense(base, Int64(columns * MemoryLayout<Float>.stride), .f32)
      unsafe body(&view)
    }
  }

  /// Rows in 32 bits, one after the other.
  package func floats(_ rows: Range<Int>) -> [Float] {
    var values = [Float](repeating: 0, count: rows.count * columns)
    let first = places.first + rows.lowerBound * places.step
    guard places.step > 1 else {
      var span = values.mutableSpan
      decoder.decode(rows: first..<first + rows.count, columns: 0..<columns, into: &span)
      return values
    }
    unsafe values.withUnsafeMutableBufferPointer { values in
      for index in 0..<rows.count {
        let row = first + index * places.step
        var line = unsafe UnsafeMutableBufferPointer(rebasing: values[index * columns..<(index + 1) * columns])
          .mutableSpan
        decoder.decode(rows: row..<row + 1, columns: 0..<columns, into: &line)
      }
    }
    return values
  }

  /// The squares of the error that rounding to the format leaves on average in every `step`-th row.
  package func roundingNoise(every step: Int) -> (rows: Int, sum: Double?) {
    let count = (rows + step - 1) / step
    let rows = StridedRows(first: places.first, step: places.step * step, count: count)
    return (count, kernelRows?.kernelNoise(rows) ?? decoder.roundingNoise(rows))
  }

  /// The step of the format around each weight of a row; nil where the format doesn't tell.
  package func steps(row: Int) -> [Float]? { decoder.steps(row: places.first + row * places.step) }
}
