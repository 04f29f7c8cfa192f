// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// x / √(mean(x²) + ε) · scale, row by row.
struct RootMeanSquareNorm: Sendable {
  /// `[width]`
  var scale: [Float]
  var epsilon: Float

  func apply(_ rows: [Float]) -> [Float] {
    let width = scale.count
    var result = rows
    for start in stride(from: 0, to: rows.count, by: width) {
      let row = start..<start + width
      let meanSquare = rows[row].reduce(0.0) { $0 + Double($1) * Double($1) } / Double(width)
      let factor = 1 / (meanSquare + Double(epsilon)).squareRoot()
      for index in row { result[index] = Float(Double(rows[index]) * factor * Double(scale[index - start])) }
    }
    return result
  }
}
