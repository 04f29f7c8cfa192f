// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Inputs and what quantisation leaves of them, worked out by hand.
@Suite struct ActivationSchemeTests {
  struct Vector: Sendable, CustomTestStringConvertible {
    let scheme: ActivationScheme
    var scale: Float?
    let rows: [[Double]]
    let expected: [[Double]]

    init(_ scheme: ActivationScheme, scale: Float? = nil, _ rows: [[Double]], _ expected: [[Double]]) {
      self.scheme = scheme
      self.scale = scale
      self.rows = rows
      self.expected = expected
    }

    var testDescription: String { "\(scheme) \(rows.map { $0.prefix(4) })" }
  }

  private static func padded(_ values: [Double], _ count: Int) -> [Double] {
    values + [Double](repeating: 0, count: count - values.count)
  }

  static let vectors: [Vector] = [
    Vector(.unquantized, [[0.1]], [[0.1]]),
    // e4m3: ties to even, saturation, subnormals.
    Vector(
      .tensor(.fp8, isStatic: true), scale: 1, [[17, 19, 464, 500, -17, 0x1p-10, 0x1.8p-10]],
      [[16, 20, 448, 448, -16, 0, 0x1p-9]]),
    Vector(.tensor(.fp8, isStatic: true), scale: 2, [[34, -2000]], [[32, -896]]),
    // One scale for all rows, and one for each.
    Vector(.tensor(.fp8, isStatic: false), [[896], [34]], [[896], [32]]),
    Vector(.tensor(.fp8, isStatic: false), [[896], [0x1p-9]], [[896], [0]]),
    Vector(.token(.fp8), [[896, 34], [448, 0x1p-9]], [[896, 32], [448, 0x1p-9]]),
    Vector(.token(.fp8, limit: 448), [[896, -34]], [[448, -32]]),
    // 38 is between 36 and 40 where the scale is 1, and 38 / 2 = 19 between 18 and 20.
    Vector(.group(2), [[448, 38, 896, 36, 7]], [[448, 40, 896, 36, 7]]),
    // 449 / 448 takes the next power of two: 0x1p-9 becomes half the least code.
    Vector(.group(2, isPowerOfTwo: true), [[448, 0x1p-9, 449, 0x1p-9]], [[448, 0x1p-9, 448, 0]]),
    Vector(
      .tensor(.int8, isStatic: true), scale: 1, [[0.5, 1.5, 2.5, 200, -200]], [[0, 2, 2, 127, -128]]),
    Vector(.tensor(.int8, isStatic: false), [[127], [1.5]], [[127], [2]]),
    Vector(
      .token(.int8), [[127, 0.5, -0.5, 1.5, 2.5], [254, 3, 0.9, 0, 0]], [[127, 1, -1, 2, 3], [254, 4, 0, 0, 0]]),
    Vector(.mxfp8, [padded([448, 0x1p-9], 32) + [449, 0x1p-9]], [padded([448, 0x1p-9], 32) + [448, 0]]),
    // By greatest magnitude: 0.75 → 2⁻³, 1 → 2⁻², 5, 6 and 6.99 → 1, 7 → 2.
    Vector(.mxfp4, [[0.75, 0.0625]], [[0.75, 0.0625]]),
    Vector(.mxfp4, [[1, 0.125]], [[1, 0.125]]),
    Vector(.mxfp4, [[5, 0.25, 0.75]], [[4, 0, 1]]),
    Vector(.mxfp4, [[6.99, 0.5]], [[6, 0.5]]),
    Vector(.mxfp4, [padded([7, 0.5], 32) + [6, 0.5]], [padded([8, 0], 32) + [6, 0.5]]),
    // Thresholds of e2m1, and two blocks.
    Vector(
      .nvfp4(isStatic: true), scale: 1 / 256,
      [[6, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, -5, 0, 0, 0, 0, 0, 0, 0, 3, 0.375]],
      [[6, 0, 1, 1, 2, 2, 4, 4, -4, 0, 0, 0, 0, 0, 0, 0, 3, 0.5]]),
    // The greatest of all gives 448 · 6 / a = 1; the second block's scale is 1, the third's rounds to 0.
    Vector(
      .nvfp4(isStatic: false), [padded([2688, 448], 16) + padded([6, 1.25], 16), padded([0x1p-10], 16)],
      [padded([2688, 448], 16) + padded([6, 1], 16), padded([], 16)]),
    // A stored scale that is too small clips.
    Vector(.nvfp4(isStatic: true), scale: 1 / 2688, [[6]], [[1]]),
  ]

  @Test(arguments: vectors) func vector(_ vector: Vector) throws {
    var rows = vector.rows
    try vector.scheme.apply(to: &rows, scale: vector.scale)
    #expect(rows.count == vector.expected.count)
    for (row, expected) in zip(rows, vector.expected) {
      #expect(row.count == expected.count)
      for (found, expected) in zip(row, expected) {
        #expect(abs(found - expected) <= 1e-6 * abs(expected), "\(row)")
      }
    }
  }

  static let schemes: [ActivationScheme] = [
    .tensor(.fp8, isStatic: true), .tensor(.fp8, isStatic: false), .token(.fp8), .token(.fp8, limit: 1200), .group(128),
    .group(128, isPowerOfTwo: true), .tensor(.int8, isStatic: true), .tensor(.int8, isStatic: false), .token(.int8),
    .mxfp8, .mxfp4, .nvfp4(isStatic: true), .nvfp4(isStatic: false),
  ]

  @Test(arguments: schemes) func zerosStayZeros(scheme: ActivationScheme) throws {
    for rows in [[[Double](repeating: 0, count: 40)], [], [[]]] {
      var found = rows
      try scheme.apply(to: &found, scale: 0.5)
      #expect(found == rows)
    }
  }

  /// What is quantised once is quantised: codes of codes are themselves.
  @Test(arguments: schemes) func again(scheme: ActivationScheme) throws {
    var rows = (0..<5).map { row in randomValues(200, seed: UInt64(row)).map(Double.init) }
    try scheme.apply(to: &rows, scale: 0.01)
    let once = rows
    try scheme.apply(to: &rows, scale: 0.01)
    for (row, first) in zip(rows, once) {
      for (found, expected) in zip(row, first) { #expect(abs(found - expected) <= 1e-6 * abs(expected) + 1e-12) }
    }
  }

  /// What is no number is no trap.
  @Test(arguments: schemes) func notFinite(scheme: ActivationScheme) throws {
    for value in [Double.nan, .infinity, -.infinity, 1e300] {
      for scale in [0.5, 0, -1, Float.nan, .infinity] {
        var rows = [[1, value, 2], [3, 4, 5]]
        try scheme.apply(to: &rows, scale: scale)
      }
    }
  }

  @Test func refusals() {
    for scheme in Self.schemes where scheme.isStatic {
      expectFault(.invalidArgument, "static") {
        var rows = [[1.0]]
        try scheme.apply(to: &rows)
      }
    }
    expectFault(.unsupportedByBackend, "float5") {
      var rows = [[1.0]]
      try ActivationScheme.unknown("float5 token").apply(to: &rows)
    }
  }
}
