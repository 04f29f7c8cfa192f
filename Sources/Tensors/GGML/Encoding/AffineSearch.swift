// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// x ≈ scale · q − minimum with whole q in 0 ... `levels`: the scale and the minimum of the least squared error.
///
/// Tried are scales around the one that spreads the codes over the whole range; those a little larger or smaller put
/// the middle elements, which are the most, nearer to a code. For the codes of each, scale and minimum follow by linear
/// regression. Neither is negative: the formats store them so.
struct AffineFit {
  var scale: Float
  var minimum: Float

  init(_ values: Vector32, levels: Float) {
    let lowest = Swift.min(values.min(), 0)
    let range = values.max() - lowest
    (scale, minimum) = (0, -lowest)
    guard range > 0 else { return }
    let total = values.sum()
    var least = Float.infinity
    for step in -10...10 {
      let trial = range / (levels + Float(step) * 0.1)
      let codes = Self.codes(values, trial, -lowest, levels)
      let (sum, squares, products) = (codes.sum(), (codes * codes).sum(), (codes * values).sum())
      let determinant = 32 * squares - sum * sum
      var slope = (32 * products - sum * total) / determinant
      var offset = (squares * total - sum * products) / determinant
      // Of one code alone (and so without a determinant) the minimum is 0, too.
      if !(determinant > 0 && offset < 0) { (slope, offset) = (products / squares, 0) }
      guard slope > 0 else { continue }
      let rest = codes * slope - (values - offset)
      let error = (rest * rest).sum()
      if error < least { (least, scale, minimum) = (error, slope, -offset) }
    }
  }

  /// The codes next to `values`, as whole numbers.
  @inline(__always)
  static func codes(_ values: Vector32, _ scale: Float, _ minimum: Float, _ levels: Float) -> Vector32 {
    ((values + minimum) * inverse(scale)).nearest.clamped(0, levels)
  }
}
