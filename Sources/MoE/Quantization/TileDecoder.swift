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

  /// The step of the format around each weight of a row: numbers nearer than half of it to a weight round to it. nil where
  /// the format doesn't tell.
  func steps(row: Int) -> [Float]?

  /// What is wrong with the numbers that weights share: scales that are not finite, or not positive over weights that are
  /// not 0, zero points beyond the codes. It looks at weights only where a scale is 0 or less.
  ///
  /// - Parameters:
  ///   - rows: ascending ranges in the matrix; elsewhere scales and codes may stand for nothing.
  ///   - columns: likewise.
  func scaleFaults(rows: [Range<Int>], columns: Range<Int>) -> [ValueFault]

  /// What a weight that is not finite comes from, as a clause; nil where ``scaleFaults(rows:columns:)`` says it.
  func cause(ofNonFinite row: Int, _ column: Int) -> String?
}

extension TileDecoder {
  public func coded(rows: Range<Int>, columns: Range<Int>) -> CodedWeights? { nil }

  public func steps(row: Int) -> [Float]? { coded(rows: row..<row + 1, columns: 0..<columns)?.steps() }

  public func scaleFaults(rows: [Range<Int>], columns: Range<Int>) -> [ValueFault] { [] }

  public func cause(ofNonFinite row: Int, _ column: Int) -> String? { "a weight is not finite" }

  /// All that is wrong with the values: those of ``scaleFaults(rows:columns:)``, and weights that are not finite. Decodes
  /// the whole matrix.
  public func valueFaults() -> [Fault] {
    var tally = FaultTally()
    let whole = WeightSelection(
      rows: StridedRows(first: 0, step: 1, count: rows), columns: StridedRows(first: 0, step: 1, count: columns))
    _ = scan([whole], &tally)
    return (scaleFaults(rows: [0..<rows], columns: 0..<columns) + tally.faults).map(\.fault)
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
