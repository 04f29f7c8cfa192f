// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

@Suite struct MiniFloatTests {
  @Test(arguments: [
    (MiniFloat.e4m3fn, Float(448), UInt8(0x7E)), (.e4m3fnuz, 240, 0x7F), (.e5m2, 57344, 0x7B), (.e5m2fnuz, 57344, 0x7F),
    (.e2m1, 6, 0x7), (.e2m3, 7.5, 0x1F), (.e3m2, 28, 0x1F),
  ])
  func greatest(format: MiniFloat, value: Float, code: UInt8) {
    #expect(format.greatestFinite == value)
    #expect(format.greatestFiniteCode == code)
    #expect(format.encode(value) == code)
  }

  /// Independent of the table: the formulas of the specifications, in `Double`.
  @Test(arguments: MiniFloat.all)
  func decodesByFormula(format: MiniFloat) {
    for code in 0..<(1 << format.bitWidth) {
      let value = Double(format.decode(UInt8(code)))
      let sign: Double = code >> (format.bitWidth - 1) == 1 ? -1 : 1
      let field = code >> format.mantissaBits & (1 << format.exponentBits - 1)
      let mantissa = Double(code & (1 << format.mantissaBits - 1)) / Double(1 << format.mantissaBits)
      let isTopField = field == 1 << format.exponentBits - 1
      let isAllOnes = isTopField && mantissa == 1 - 1 / Double(1 << format.mantissaBits)
      let isSpecial =
        switch format.specials {
        case .none: false
        case .nan: isAllOnes
        case .negativeZeroIsNaN: code == 1 << (format.bitWidth - 1)
        case .ieee: isTopField
        }
      if isSpecial {
        let isInfinity = format.specials == .ieee && mantissa == 0
        #expect(isInfinity ? value == sign * .infinity : value.isNaN, "\(format.name) \(code)")
      } else {
        let power = { (exponent: Int) in Double(sign: .plus, exponent: exponent, significand: 1) }
        let expected =
          field == 0 ? sign * power(1 - format.bias) * mantissa : sign * power(field - format.bias) * (1 + mantissa)
        #expect(value == expected, "\(format.name) \(code)")
      }
    }
  }

  @Test(arguments: MiniFloat.all)
  func everyCodeComesBack(format: MiniFloat) {
    for code in UInt8(0)...UInt8(1 << format.bitWidth - 1) {
      let value = format.decode(code)
      let back = format.encode(value)
      // A NaN may come back as another NaN.
      #expect(value.isNaN ? format.decode(back).isNaN : back == code, "\(format.name) \(code)")
    }
  }

  @Test(arguments: MiniFloat.all)
  func encodesToTheNearest(format: MiniFloat) {
    var generator = SplitMix64(seed: 1)
    let magnitudes = (0...format.greatestFiniteCode).map(format.decode)
    var values = (0..<20_000).map { _ in
      Float(
        sign: .plus, exponent: Int.random(in: -24...18, using: &generator),
        significand: .random(in: 1..<2, using: &generator))
    }
    values += (0..<5_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())) }.filter(
      \.isFinite)
    // Every tie, and the floats next to it.
    for (lower, upper) in zip(magnitudes, magnitudes.dropFirst()) {
      let tie = (lower + upper) / 2
      values += [tie, tie.nextUp, tie.nextDown, lower.nextUp, upper.nextDown]
    }
    for value in values.flatMap({ [$0, -$0] }) {
      let expected = nearestCode(to: value, in: magnitudes, format)
      #expect(format.encode(value) == expected, "\(format.name) \(value)")
    }
  }

  /// By trying all codes.
  private func nearestCode(to value: Float, in magnitudes: [Float], _ format: MiniFloat) -> UInt8 {
    let magnitude = min(Double(value.magnitude), Double(format.greatestFinite))
    var best = 0
    for code in magnitudes.indices {
      let distance = abs(Double(magnitudes[code]) - magnitude)
      let bestDistance = abs(Double(magnitudes[best]) - magnitude)
      if distance < bestDistance || (distance == bestDistance && code % 2 == 0) { best = code }
    }
    let isNegative = value.sign == .minus && !(best == 0 && format.specials == .negativeZeroIsNaN)
    return UInt8(best) | (isNegative ? 1 << (format.bitWidth - 1) : 0)
  }

  /// Section 6.0.1 of the notes on vLLM: computed by hand there.
  @Test(
    arguments: [
      (Float(17), Float(16)), (19, 20), (464, 448), (0x1p-10, 0), (0x1.8p-10, 0x1p-9), (1e9, 448),
      (-Float.infinity, -448),
    ] as [(Float, Float)])
  func roundsE4M3(value: Float, expected: Float) {
    #expect(MiniFloat.e4m3fn.decode(MiniFloat.e4m3fn.encode(value)) == expected)
  }

  /// The thresholds of NVFP4 and MXFP4.
  @Test(arguments: [
    (Float(0.25), Float(0)), (0.75, 1), (1.25, 1), (1.75, 2), (2.5, 2), (3.5, 4), (5, 4), (6.99, 6), (100, 6),
  ])
  func roundsE2M1(value: Float, expected: Float) {
    #expect(MiniFloat.e2m1.decode(MiniFloat.e2m1.encode(value)) == expected)
    #expect(MiniFloat.e2m1.decode(MiniFloat.e2m1.encode(-value)) == -expected)
  }

  @Test func nibblesOfAByte() {
    #expect(MiniFloat.e2m1.decode(0x2B & 15) == -1.5)
    #expect(MiniFloat.e2m1.decode(0x2B >> 4) == 1)
    #expect(MiniFloat.e2m1.table.prefix(8) == [0, 0.5, 1, 1.5, 2, 3, 4, 6])
  }

  @Test func specialValues() {
    #expect(MiniFloat.e4m3fn.encode(.nan) == 0x7F)
    #expect(MiniFloat.e4m3fnuz.encode(.nan) == 0x80)
    #expect(MiniFloat.e4m3fnuz.encode(-0.0) == 0)
    #expect(MiniFloat.e4m3fnuz.encode(-1e-9) == 0)
    #expect(MiniFloat.e5m2.encode(.infinity) == 0x7C)
    #expect(MiniFloat.e5m2.encode(1e30) == 0x7B)
    #expect(MiniFloat.e2m1.encode(.nan) == 7)
    #expect(MiniFloat.e4m3fn.encode(-0.0) == 0x80)
  }
}
