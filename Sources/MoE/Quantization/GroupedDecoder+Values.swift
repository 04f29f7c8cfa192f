// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension GroupedDecoder {
  /// One fault for each kind, with the number of places and the first of them.
  func scaleFaults(rows: [Range<Int>], columns: Range<Int>) -> [ValueFault] {
    var tally = FaultTally()
    if !scales.allSatisfy({ $0 > 0 && $0 < .infinity }) {
      for (index, scale) in scales.enumerated() where !scale.isFinite {
        tally.note(.scale, "a scale is not finite", "\(scale) at \(index)")
      }
      for row in rows.joined() { tallyIdleScales(row, columns, &tally) }
    }
    let greatest = table.reduce(0) { $1.isFinite ? max($0, $1) : $0 }
    for (index, zeroPoint) in (zeroPoints ?? []).enumerated() where zeroPoint > greatest {
      tally.note(
        .zeroPoint, "a zero point is beyond the codes", expected: "at most \(greatest)", "\(zeroPoint) at \(index)")
    }
    return tally.faults
  }

  /// Scales of 0 or less in a row, over weights that are not 0.
  private func tallyIdleScales(_ row: Int, _ columns: Range<Int>, _ tally: inout FaultTally) {
    var column = columns.lowerBound
    while column < columns.upperBound {
      let (index, end) = scale(row, column, limit: columns.upperBound)
      if scales[index] <= 0 {
        var codes = [UInt8](repeating: 0, count: end - column)
        self.codes.read(row: row, columns: column..<end, into: &codes)
        for (offset, code) in codes.enumerated() where table[Int(code)] != zeroPoints?[index] ?? 0 {
          tally.note(
            .scale, "a scale of weights that are not 0 is not positive", expected: "a number above 0",
            "\(scales[index]) at [\(row), \(column + offset)]")
        }
      }
      column = end
    }
  }

  func cause(ofNonFinite row: Int, _ column: Int) -> String? {
    var code: [UInt8] = [0]
    codes.read(row: row, columns: column..<column + 1, into: &code)
    if !table[Int(code[0])].isFinite { return "a code is no finite number" }
    return scales[scale(row, column, limit: column + 1).index].isFinite ? "a weight is not finite" : nil
  }
}
