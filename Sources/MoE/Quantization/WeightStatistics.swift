// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What one pass over the weights of a projection finds: the greatest magnitude, and whether they differ at all.
///
/// It works on the bits of 32-bit floats. Without the sign they are in the order of the magnitudes, infinity and NaN above
/// all numbers, so that one maximum finds both the range and what is not finite, in a loop that vectorises.
public struct WeightStatistics: Sendable, Hashable {
  public private(set) var count = 0
  private var first: UInt32 = 0
  private var magnitude: UInt32 = 0
  private var difference: UInt32 = 0

  public init() {}

  /// The greatest magnitude; not finite where a weight is not.
  public var greatestMagnitude: Float { Float(bitPattern: magnitude) }
  public var isFinite: Bool { magnitude < Float.infinity.bitPattern }
  /// Whether all are 0.
  public var isZero: Bool { magnitude == 0 }
  /// Whether all are the same number.
  public var isConstant: Bool { difference == 0 }

  /// Adds every `step`-th of some values.
  mutating func add(_ values: Span<Float>, _ places: StridedRows) {
    guard places.count > 0 else { return }
    precondition(places.first + (places.count - 1) * places.step < values.count, "places outside the row")
    if count == 0 { first = values[places.first].bitPattern }
    count += places.count
    let first = first
    var (magnitude, difference) = (magnitude, difference)
    func take(_ bits: UInt32) {
      magnitude = max(magnitude, bits & 0x7FFF_FFFF)
      difference |= bits ^ first
    }
    if places.step == 1 {
      for index in places.first..<places.first + places.count { take(unsafe values[unchecked: index].bitPattern) }
    } else {
      for index in 0..<places.count {
        take(unsafe values[unchecked: places.first + index * places.step].bitPattern)
      }
    }
    (self.magnitude, self.difference) = (magnitude, difference)
  }
}

/// Weights of a stored matrix: steps of rows, and of columns.
struct WeightSelection: Sendable, Hashable {
  var rows: StridedRows
  var columns: StridedRows
}

extension TileDecoder {
  /// Decodes the whole matrix, row by row.
  ///
  /// - Parameter selections: what belongs together.
  /// - Returns: the statistics of each selection.
  func scan(_ selections: [WeightSelection], _ tally: inout FaultTally) -> [WeightStatistics] {
    var result = selections.map { _ in WeightStatistics() }
    var values = [Float](repeating: 0, count: columns)
    for row in 0..<rows {
      var tile = values.mutableSpan
      decode(rows: row..<row + 1, columns: 0..<columns, into: &tile)
      for (index, selection) in selections.enumerated() where selection.rows.contains(row) {
        result[index].add(values.span, selection.columns)
        if !result[index].isFinite { note(row, values, selection.columns, &tally) }
      }
    }
    return result
  }

  /// Looks up the weights of a row that are not finite.
  private func note(_ row: Int, _ values: [Float], _ columns: StridedRows, _ tally: inout FaultTally) {
    for index in 0..<columns.count {
      let column = columns.first + index * columns.step
      guard !values[column].isFinite, let cause = cause(ofNonFinite: row, column) else { continue }
      tally.note(.weight, cause, "\(values[column]) at [\(row), \(column)]")
    }
  }
}
