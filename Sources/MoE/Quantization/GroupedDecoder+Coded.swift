// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension GroupedDecoder {
  /// The codes of whole groups of columns, with a scale for each row and group. Columns of a row that is one group may be
  /// cut anywhere.
  func coded(rows: Range<Int>, columns: Range<Int>) -> CodedWeights? {
    guard let size = groupSize, !columns.isEmpty,
      size == self.columns
        || columns.lowerBound % size == 0 && (columns.upperBound % size == 0 || columns.upperBound == self.columns)
    else { return nil }
    var all: [UInt8] = []
    all.reserveCapacity(rows.count * columns.count)
    var line = [UInt8](repeating: 0, count: columns.count)
    var (numbers, zeros): ([Float], [Float]) = ([], [])
    for row in rows {
      codes.read(row: row, columns: columns, into: &line)
      all += line
      for column in stride(from: columns.lowerBound, to: columns.upperBound, by: size) {
        let index = scale(row, column, limit: column + 1).index
        numbers.append(levels?.scales[index] ?? divisor.map { scales[index] / $0 } ?? scales[index])
        if let zeroPoints { zeros.append(zeroPoints[index]) }
      }
    }
    return CodedWeights(
      rows: rows.count, columns: columns.count, bits: codes.bits, table: table, codes: all,
      group: min(size, columns.count), scales: numbers, correction: zeroPoints == nil ? .none : .zero(zeros),
      factors: levels.map {
        CodedWeights.Factors(
          group: columns.count, scales: [Float](repeating: $0.factor, count: rows.count))
      })
  }

  /// Columns that share a scale; nil where a group index or the flat order tells them apart.
  private var groupSize: Int? {
    // A group index that says what it would be without one is none.
    switch arrangement {
    case .grid(_, let columnStep, _, _):
      let size = min(columnStep, columns)
      guard let groupIndex else { return size }
      return groupIndex.indices.allSatisfy { groupIndex[$0] == $0 / columnStep } ? size : nil
    case .flat(let size): return columns % size == 0 ? size : nil
    }
  }
}
