// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE

/// Random numbers by a seed.
enum RandomValues {
  /// Draws from N(0, 1).
  static func normal(count: Int, seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed)
    return (0..<count).map { _ in Float(generator.normal()) }
  }

  /// Uniform numbers of a standard deviation, which cost less.
  static func uniform(count: Int, deviation: Float, seed: UInt64) -> [Float] {
    var generator = SplitMix64(seed: seed)
    let amplitude = deviation * Float(3).squareRoot() * 0x1p-31
    return (0..<count).map { _ in Float(Int32(truncatingIfNeeded: generator.next() >> 32)) * amplitude }
  }
}
