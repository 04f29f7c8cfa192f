// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// The weights of one projection, read from codes and scales that have been validated.
public protocol TileDecoder: Sendable {
  /// *out*
  var rows: Int { get }
  /// *in*
  var columns: Int { get }

  /// Decodes a tile, row after row without gaps.
  ///
  /// - Precondition: The ranges are in the matrix, and `tile` has their size.
  func decode(rows: Range<Int>, columns: Range<Int>, into tile: inout MutableSpan<Float>)

  /// The tile as codes, without loss; nil where the format has no such view, or the columns cut one of its blocks.
  ///
  /// - Precondition: The ranges are in the matrix.
  func coded(rows: Range<Int>, columns: Range<Int>) -> CodedWeights?

  /// What is wrong with the values: codes and scales that are no finite numbers, scales of 0 or less over weights that
  /// are not 0, zero points beyond the codes. Reads the whole matrix.
  func valueFaults() -> [Fault]
}

extension TileDecoder {
  public func coded(rows: Range<Int>, columns: Range<Int>) -> CodedWeights? { nil }

  /// Weights that are not finite.
  public func valueFaults() -> [Fault] {
    for row in 0..<rows {
      var values = [Float](repeating: 0, count: columns)
      var span = values.mutableSpan
      decode(rows: row..<row + 1, columns: 0..<columns, into: &span)
      if let column = values.firstIndex(where: { !$0.isFinite }) {
        return [
          Fault(
            .invalidValue, "a weight is not finite", expected: "a finite number",
            found: "\(values[column]) at [\(row), \(column)]")
        ]
      }
    }
    return []
  }

  /// Decodes a tile `[rows, columns]`.
  ///
  /// - Throws: `.invalidArgument` for ranges outside the matrix.
  public func decode(rows: Range<Int>, columns: Range<Int>) throws(MoEError) -> [Float] {
    guard rows.lowerBound >= 0, rows.upperBound <= self.rows, columns.lowerBound >= 0,
      columns.upperBound <= self.columns
    else {
      throw MoEError(
        .invalidArgument, "the tile is outside the matrix", expected: "[0..<\(self.rows), 0..<\(self.columns)]",
        found: "[\(rows), \(columns)]")
    }
    var tile = [Float](repeating: 0, count: rows.count * columns.count)
    var span = tile.mutableSpan
    decode(rows: rows, columns: columns, into: &span)
    return tile
  }

  /// Decodes the whole matrix, `[rows, columns]`.
  public func decode() -> [Float] {
    var matrix = [Float](repeating: 0, count: rows * columns)
    var span = matrix.mutableSpan
    decode(rows: 0..<rows, columns: 0..<columns, into: &span)
    return matrix
  }
}
