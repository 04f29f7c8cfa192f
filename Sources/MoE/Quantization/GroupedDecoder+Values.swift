// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

extension GroupedDecoder {
  /// One fault for each kind, with the number of places and the first of them.
  func valueFaults() -> [Fault] {
    var tally = Tally()
    for (index, scale) in scales.enumerated() where !scale.isFinite {
      tally.note("a scale is not finite", expected: "a finite number", "\(scale) at \(index)")
    }
    let greatest = table.reduce(0) { $1.isFinite ? max($0, $1) : $0 }
    for (index, zeroPoint) in (zeroPoints ?? []).enumerated() where zeroPoint > greatest {
      tally.note("a zero point is beyond the codes", expected: "at most \(greatest)", "\(zeroPoint) at \(index)")
    }
    var codes = [UInt8](repeating: 0, count: columns)
    for row in 0..<rows {
      self.codes.read(row: row, columns: 0..<columns, into: &codes)
      for column in 0..<columns {
        let value = table[Int(codes[column])]
        if !value.isFinite {
          tally.note("a code is no finite number", expected: "a finite number", "\(value) at [\(row), \(column)]")
          continue
        }
        let index = scale(row, column, limit: column + 1).index
        if scales[index] <= 0, value != zeroPoints?[index] ?? 0 {
          tally.note(
            "a scale of weights that are not 0 is not positive", expected: "a number above 0",
            "\(scales[index]) at [\(row), \(column)]")
        }
      }
    }
    return tally.faults
  }

  private struct Tally {
    private var order: [String] = []
    private var kinds: [String: (expected: String, first: String, count: Int)] = [:]

    mutating func note(_ message: String, expected: String, _ found: @autoclosure () -> String) {
      if kinds[message] == nil {
        order.append(message)
        kinds[message] = (expected, found(), 0)
      }
      kinds[message]!.count += 1
    }

    var faults: [Fault] {
      order.map { message in
        let (expected, first, count) = kinds[message]!
        let more = count > 1 ? ", and \(count - 1) more" : ""
        return Fault(.invalidValue, message, expected: expected, found: first + more)
      }
    }
  }
}
