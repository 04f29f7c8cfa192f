// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The values that a code can have, in units of a scale.
protocol CodeLevels {
  /// What the element of the greatest magnitude is tried to be.
  static var extremes: [Float] { get }
  /// The nearest levels.
  static func levels(_ values: Vector32) -> Vector32
}

/// x ≈ scale · level: the scale, of either sign, of the least squared error.
///
/// Tried are those that make the extreme element each of `extremes`; for the levels of each, the scale follows by
/// linear regression.
struct SymmetricFit<Levels: CodeLevels> {
  var scale: Float = 0

  init(_ values: Vector32) {
    let extreme = values.extreme()
    guard extreme != 0 else { return }
    var best: Float = 0
    for target in Levels.extremes {
      let levels = Levels.levels(values * (target / extreme))
      let (products, squares) = ((levels * values).sum(), (levels * levels).sum())
      // Σ (x − s l)² = Σ x² − (Σ l x)² / Σ l² for the best s.
      guard squares > 0, products * products > best * squares else { continue }
      best = products * products / squares
      scale = products / squares
    }
  }
}

/// 256 elements as sub-blocks d · sc · level: a whole number sc for each, of either sign, and a 16-bit float for all.
struct SymmetricSuperBlock<Levels: CodeLevels> {
  /// The elements of each sub-block; those of 16 stand twice.
  let parts: [Vector32]
  /// sc is in −`greatest` ..< `greatest`.
  let greatest: Float

  private(set) var scale: Float = 0
  private(set) var scales: [Float]

  init(_ parts: [Vector32], greatest: Float) {
    (self.parts, self.greatest) = (parts, greatest)
    scales = parts.map { SymmetricFit<Levels>($0).scale }
    let extreme = scales.reduce(0) { $1.magnitude > $0.magnitude ? $1 : $0 }
    scale = storable(extreme / -greatest)
    let inverse = inverse(scale)
    scales = scales.map { scale in
      let code = (scale * inverse).rounded()
      return code > -greatest ? min(code, greatest - 1) : -greatest
    }
    refineParts()
    refineScale()
  }

  /// The levels of a sub-block.
  func levels(_ part: Int) -> Vector32 { levels(part, scales[part]) }

  private func levels(_ part: Int, _ scale: Float) -> Vector32 {
    Levels.levels(parts[part] * inverse(self.scale * scale))
  }

  private mutating func refineParts() {
    for part in parts.indices {
      let scale = scales[part]
      var least = Float.infinity
      for scale in [scale, scale - 1, scale + 1] where (-greatest..<greatest).contains(scale) {
        let error = error(part, scale)
        if error < least { (least, scales[part]) = (error, scale) }
      }
    }
  }

  /// d of the least squared error for the levels there are; kept if, after rounding, it is smaller.
  private mutating func refineScale() {
    var (squares, products) = (Double(0), Double(0))
    for part in parts.indices {
      let levels = levels(part) * scales[part]
      squares += Double((levels * levels).sum())
      products += Double((levels * parts[part]).sum())
    }
    guard squares > 0 else { return }
    var other = self
    other.scale = storable(Float(products / squares))
    if other.error < error { self = other }
  }

  private func error(_ part: Int, _ scale: Float) -> Float {
    let rest = levels(part, scale) * (self.scale * scale) - parts[part]
    return (rest * rest).sum()
  }

  private var error: Float { parts.indices.reduce(0) { $0 + error($1, scales[$1]) } }
}
