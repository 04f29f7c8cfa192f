// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Plain weights that are stored `[in, out]`, as a matrix `[out, in]`: what quantises them while they load reads rows.
struct TransposedDecoder: TileDecoder {
  let rows: Int
  let columns: Int
  /// `[rows, columns]`
  private let values: [Float]

  /// Rows of the stored matrix that are turned at a time.
  private static let strip = 32

  /// - Parameter stored: the matrix as it lies, `[columns, rows]`.
  init(_ stored: any TileDecoder) {
    (rows, columns) = (stored.columns, stored.rows)
    var values = [Float](repeating: 0, count: rows * columns)
    for first in stride(from: 0, to: columns, by: Self.strip) {
      let some = first..<min(first + Self.strip, columns)
      var tile = [Float](repeating: 0, count: some.count * rows)
      var span = tile.mutableSpan
      stored.decode(rows: some, columns: 0..<rows, into: &span)
      for row in 0..<rows {
        for (index, column) in some.enumerated() { values[row * columns + column] = tile[index * rows + row] }
      }
    }
    self.values = values
  }

  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>) {
    var place = 0
    for row in rows {
      for column in columns {
        tile[place] = values[row * self.columns + column]
        place += 1
      }
    }
  }
}

extension MatrixSource {
  /// Whether plain weights are stored `[in, out]`.
  var isInputMajor: Bool { scheme is Unquantized && self[.weight]?.axes.first?.extent == .columns }

  /// The stored tensors as the scheme knows them: plain weights have no order of their own but that of their tensor.
  func projection(of stored: [TensorRole: StoredTensor]) -> StoredProjection {
    isInputMajor
      ? StoredProjection(stem, rows: columns, columns: rows, stored)
      : StoredProjection(stem, rows: rows, columns: columns, stored)
  }
}
