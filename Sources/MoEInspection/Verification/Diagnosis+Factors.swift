// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

extension Diagnosis {
  /// The factor that makes the original most like the stored weights, and what is left then; nil where there is nothing.
  private static func fit(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> (
    factor: Double, product: Double, square: Double
  )? {
    var (product, square) = (0.0, 0.0)
    for (x, y) in zip(a, b) {
      product += Double(x) * Double(y)
      square += Double(x) * Double(x)
    }
    return square > 0 ? (product / square, product, square) : nil
  }

  static func constantFactor(_ suspect: Suspect) -> Self? {
    guard let factor = fit(suspect.original[...], suspect.stored[...])?.factor, abs(factor - 1) > 0.02, factor != 0,
      suspect.isExplained(by: suspect.original.map { Float(factor * Double($0)) })
    else { return nil }
    return Self(kind: .factor, text: "all weights are multiplied by \(name(of: factor))")
  }

  /// Each row has a factor of its own.
  static func rowFactors(_ suspect: Suspect) -> Self? {
    factors(suspect, width: suspect.columns).map { factors in
      // A scale that moved on makes the product of neighbouring factors telescope; the spread says enough.
      Self(kind: .factors, text: "each row is multiplied by a number of its own, \(spread(factors)): scales of rows")
    }
  }

  /// Each group of columns has a factor of its own.
  static func groupFactors(_ suspect: Suspect) -> Self? {
    for width in [128, 64, 32, 16] where width < suspect.columns && suspect.columns % width == 0 {
      guard let factors = factors(suspect, width: width) else { continue }
      return Self(
        kind: .factors,
        text:
          "each group of \(width) columns is multiplied by a number of its own, \(spread(factors)): scales of groups")
    }
    return nil
  }

  /// The factors of runs of columns; nil where they don't explain the weights.
  private static func factors(_ suspect: Suspect, width: Int) -> [Double]? {
    var guess: [Float] = []
    guess.reserveCapacity(suspect.original.count)
    var factors: [Double] = []
    for start in stride(from: 0, to: suspect.original.count, by: width) {
      let range = start..<start + width
      let factor = fit(suspect.original[range], suspect.stored[range])?.factor ?? 0
      factors.append(factor)
      guess += suspect.original[range].map { Float(factor * Double($0)) }
    }
    return suspect.isExplained(by: guess) ? factors : nil
  }

  private static func spread(_ factors: [Double]) -> String {
    let sorted = factors.sorted()
    return "\(name(of: sorted[0])) to \(name(of: sorted[sorted.count - 1]))"
  }

  /// A number was added to all weights of a group.
  static func offset(_ suspect: Suspect) -> Self? {
    for width in [suspect.columns, 128, 64, 32, 16] where suspect.columns % width == 0 {
      var guess: [Float] = []
      guess.reserveCapacity(suspect.original.count)
      var offsets: [Float] = []
      for start in stride(from: 0, to: suspect.original.count, by: width) {
        let range = start..<start + width
        let sum = zip(suspect.original[range], suspect.stored[range]).reduce(0.0) { $0 + Double($1.1) - Double($1.0) }
        let offset = Float(sum / Double(width))
        offsets.append(offset)
        guess += suspect.original[range].map { $0 + offset }
      }
      guard suspect.isExplained(by: guess) else { continue }
      let mean = offsets.reduce(0.0) { $0 + Double($1.magnitude) } / Double(offsets.count)
      return Self(
        kind: .offset,
        text: "a number is added to each group of \(width) columns, \(Format.scientific(mean)) on average: zero points")
    }
    return nil
  }

  /// A number by its name among those that scales are mistaken by.
  static func name(of factor: Double) -> String {
    for power in -24...24 where abs(abs(factor) / pow(2, Double(power)) - 1) < 0.015 {
      let text = power >= 0 ? "\(1 << power)" : "1/\(1 << -power)"
      return (factor < 0 ? "-" : "") + text
    }
    for known in [448.0, 240, 127, 57344, 7, 6, 15, 255, 2688] {
      for (value, text) in [(known, "\(Int(known))"), (1 / known, "1/\(Int(known))")]
      where abs(abs(factor) / value - 1) < 0.01 {
        return (factor < 0 ? "-" : "") + text
      }
    }
    return abs(factor) >= 0.01 && abs(factor) < 1e4 ? Format.fixed(factor, 3) : Format.scientific(factor)
  }
}
