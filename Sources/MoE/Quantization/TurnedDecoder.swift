// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A matrix with rows and columns exchanged.
struct TurnedDecoder: TileDecoder {
  let base: any TileDecoder

  var rows: Int { base.columns }
  var columns: Int { base.rows }

  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>) {
    var values = [Float](repeating: 0, count: rows.count * columns.count)
    var span = values.mutableSpan
    base.decode(rows: columns, columns: rows, into: &span)
    for row in 0..<rows.count {
      for column in 0..<columns.count { tile[row * columns.count + column] = values[column * rows.count + row] }
    }
  }

  func scaleFaults(rows: [Range<Int>], columns: Range<Int>) -> [ValueFault] {
    base.scaleFaults(rows: [columns], columns: (rows.first?.lowerBound ?? 0)..<(rows.last?.upperBound ?? 0))
  }

  func cause(ofNonFinite row: Int, _ column: Int) -> String? { base.cause(ofNonFinite: column, row) }
}
