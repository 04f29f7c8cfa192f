// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

/// Counts of the weights of both matrices, over a range that most of them are in.
struct HistogramBins: Sendable {
  private static let count = 61
  private var limit: Float = 0
  private var counts = [[Int]](repeating: [Int](repeating: 0, count: count), count: 2)

  /// Every `step`-th row.
  mutating func add(_ original: RowBlock, _ stored: RowBlock, every step: Int) {
    for row in stride(from: 0, to: original.rows, by: step) {
      let lines = [original.floats(row..<row + 1), stored.floats(row..<row + 1)]
      if limit == 0 {
        // Four and a half deviations of the first row.
        let square = lines[0].reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(1, lines[0].count))
        limit = square > 0 && square.isFinite ? 4.5 * Float(square.squareRoot()) : 1
      }
      for (side, line) in lines.enumerated() {
        for value in line where value.magnitude <= limit {
          let place = (value / limit + 1) / 2 * Float(Self.count - 1)
          counts[side][Int(place.rounded())] += 1
        }
      }
    }
  }

  func histogram(_ name: String) -> Histogram {
    Histogram("\(name): weights of the original (blue) and of this checkpoint (orange)", -limit...limit, counts)
  }
}
