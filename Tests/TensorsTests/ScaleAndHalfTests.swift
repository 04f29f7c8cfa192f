// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

@Suite struct ScaleAndHalfTests {
  @Test(arguments: [(UInt8(130), Float(8)), (127, 1), (126, 0.5), (0, 0x1p-127), (254, 0x1p127)])
  func decodesE8M0(code: UInt8, value: Float) {
    #expect(E8M0.decode(code) == value)
    #expect(E8M0.encode(value) == code)
  }

  @Test func everyE8M0CodeComesBack() {
    for code in UInt8(0)...254 {
      #expect(E8M0.decode(code) == Float(sign: .plus, exponent: Int(code) - 127, significand: 1))
      for rule in [FloatingPointRoundingRule.up, .down, .toNearestOrEven] {
        #expect(E8M0.encode(E8M0.decode(code), rounding: rule) == code)
      }
    }
    #expect(E8M0.decode(255).isNaN)
  }

  /// The last two are 448/448 and 449/448 of MXFP8 (section 6.0.1): bytes 127 and 128.
  @Test(arguments: [
    (Float(1.25), UInt8(128), UInt8(127), UInt8(127)), (1.5, 128, 127, 128), (1.75, 128, 127, 128),
    (0, 0, 0, 0), (0x1p-149, 0, 0, 0), (.greatestFiniteMagnitude, 254, 254, 254), (0x1.8p-127, 1, 0, 1),
    (0x1.4p-127, 1, 0, 0), (-1, 255, 255, 255), (.infinity, 255, 255, 255), (.nan, 255, 255, 255),
    (448 / 448, 127, 127, 127), (449 / 448, 128, 127, 127),
  ])
  func encodesE8M0(value: Float, up: UInt8, down: UInt8, nearest: UInt8) {
    #expect(E8M0.encode(value, rounding: .up) == up)
    #expect(E8M0.encode(value, rounding: .down) == down)
    #expect(E8M0.encode(value) == nearest)
  }

  @Test func everyBFloat16CodeComesBack() {
    for code in UInt16.min...UInt16.max {
      let value = BFloat16.decode(code)
      let back = BFloat16.encode(value)
      #expect(value.isNaN ? BFloat16.decode(back).isNaN : back == code)
    }
  }

  @Test func bfloat16RoundsToTheNearest() {
    var generator = SplitMix64(seed: 2)
    var patterns = (0..<50_000).map { _ in UInt32(truncatingIfNeeded: generator.next()) }
    patterns += (0..<5_000).map { _ in UInt32(truncatingIfNeeded: generator.next()) & 0xFFFF_0000 | 0x8000 }  // ties
    for value in patterns.map(Float.init(bitPattern:)) where value.isFinite {
      let lower = UInt16(value.bitPattern >> 16)  // towards zero
      let below = Double(BFloat16.decode(lower))
      // The one above the greatest is where it would be if the exponents went on: 2^128.
      let above = lower & 0x7FFF == 0x7F7F ? (value < 0 ? -0x1p128 : 0x1p128) : Double(BFloat16.decode(lower + 1))
      let distances = (abs(Double(value) - below), abs(above - Double(value)))
      let isUp = distances.0 == distances.1 ? lower % 2 == 1 : distances.1 < distances.0
      #expect(BFloat16.encode(value) == (isUp ? lower + 1 : lower), "\(value)")
    }
  }

  @Test func normalFloat4() {
    #expect(NormalFloat4.table.count == 16)
    #expect(NormalFloat4.table == NormalFloat4.table.sorted())
    for (code, value) in NormalFloat4.table.enumerated() { #expect(NormalFloat4.encode(value) == UInt8(code)) }
    #expect(NormalFloat4.encode(-7) == 0)
    #expect(NormalFloat4.encode(7) == 15)
    var generator = SplitMix64(seed: 3)
    for _ in 0..<20_000 {
      let value = Float.random(in: -1.2...1.2, using: &generator)
      let distances = NormalFloat4.table.map { abs(Double($0) - Double(value)) }
      #expect(distances[Int(NormalFloat4.encode(value))] == distances.min())
    }
  }
}
