// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// 32 floats as four vectors, the greatest kind that the compiler keeps in registers on every processor.
struct Vector32 {
  private var a: SIMD8<Float>
  private var b: SIMD8<Float>
  private var c: SIMD8<Float>
  private var d: SIMD8<Float>

  @inline(__always)
  init(_ a: SIMD8<Float>, _ b: SIMD8<Float>, _ c: SIMD8<Float>, _ d: SIMD8<Float>) {
    (self.a, self.b, self.c, self.d) = (a, b, c, d)
  }

  @inline(__always)
  init(repeating value: Float) {
    let vector = SIMD8(repeating: value)
    self.init(vector, vector, vector, vector)
  }

  @inline(__always)
  func map(_ body: (SIMD8<Float>) -> SIMD8<Float>) -> Self { Self(body(a), body(b), body(c), body(d)) }

  @inline(__always)
  func zip(_ other: Self, _ body: (SIMD8<Float>, SIMD8<Float>) -> SIMD8<Float>) -> Self {
    Self(body(a, other.a), body(b, other.b), body(c, other.c), body(d, other.d))
  }

  @inline(__always)
  static func + (left: Self, right: Self) -> Self { left.zip(right) { $0 + $1 } }
  @inline(__always)
  static func - (left: Self, right: Self) -> Self { left.zip(right) { $0 - $1 } }
  @inline(__always)
  static func * (left: Self, right: Self) -> Self { left.zip(right) { $0 * $1 } }
  @inline(__always)
  static func + (left: Self, right: Float) -> Self { left.map { $0 + right } }
  @inline(__always)
  static func - (left: Self, right: Float) -> Self { left.map { $0 - right } }
  @inline(__always)
  static func * (left: Self, right: Float) -> Self { left.map { $0 * right } }

  @inline(__always)
  func sum() -> Float { ((a + b) + (c + d)).sum() }

  @inline(__always)
  func min() -> Float {
    let lowest = a.lower(b).lower(c.lower(d))
    return (1..<8).reduce(lowest[0]) { Swift.min($0, lowest[$1]) }
  }

  @inline(__always)
  func max() -> Float {
    let highest = a.higher(b).higher(c.higher(d))
    return (1..<8).reduce(highest[0]) { Swift.max($0, highest[$1]) }
  }

  @inline(__always)
  var magnitude: Self { map(\.magnitude) }

  /// The element of the greatest magnitude, with its sign; the first one of several.
  func extreme() -> Float {
    let greatest = magnitude.max()
    for vector in [a, b, c, d] {
      for index in 0..<8 where vector[index].magnitude == greatest { return vector[index] }
    }
    return 0
  }
}

// Rounding without the C library, for which a loop would leave the vector registers. The values are below 2^22 in
// magnitude; others, and NaN, give some code, but never a trap.
extension Vector32 {
  /// To the nearest whole number, ties to even.
  @inline(__always)
  var nearest: Self { map(\.nearest) }

  /// Towards zero, of numbers that are not negative.
  @inline(__always)
  var wholePart: Self { map(\.wholePart) }

  /// To the nearest whole number, ties away from zero.
  @inline(__always)
  var nearestAwayFromZero: Self {
    map { values in
      let magnitude = values.magnitude
      let whole = magnitude.wholePart
      let rounded = whole.replacing(with: whole + 1, where: magnitude - whole .>= 0.5)
      return rounded.replacing(with: -rounded, where: values .< 0)
    }
  }

  @inline(__always)
  func clamped(_ low: Float, _ high: Float) -> Self {
    map { $0.higher(SIMD8(repeating: low)).lower(SIMD8(repeating: high)) }
  }

  /// Whole numbers as bytes, of which the lowest eight bits are kept.
  @inline(__always)
  var codes: SIMD32<UInt8> {
    SIMD32(
      lowHalf: SIMD16(lowHalf: a.codes, highHalf: b.codes), highHalf: SIMD16(lowHalf: c.codes, highHalf: d.codes))
  }
}

extension SIMD8<Float> {
  @inline(__always)
  fileprivate func lower(_ other: Self) -> Self { replacing(with: other, where: other .< self) }

  @inline(__always)
  fileprivate func higher(_ other: Self) -> Self { replacing(with: other, where: other .> self) }

  @inline(__always)
  fileprivate var magnitude: Self { replacing(with: -self, where: self .< 0) }

  @inline(__always)
  fileprivate var nearest: Self { (self + 0x1.8p23) - 0x1.8p23 }

  @inline(__always)
  fileprivate var wholePart: Self {
    let nearest = nearest
    return nearest.replacing(with: nearest - 1, where: nearest .> self)
  }

  /// The whole number stands in the lowest bits of the sum.
  @inline(__always)
  fileprivate var codes: SIMD8<UInt8> {
    SIMD8<UInt8>(truncatingIfNeeded: unsafe unsafeBitCast(self + 0x1.8p23, to: SIMD8<UInt32>.self))
  }
}
