// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// d is the greatest magnitude; elements below half of it become 0.

extension TQ1_0: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let scale = ternaryScale(values)
    block.setHalf(52, scale)
    let codes = (0..<8).map { ternaryCodes(values.vector(32 * $0), scale) }
    // The runs of the decoder: 32 bytes of five digits, 16 of five, 4 of four.
    for index in 0..<32 { block[index] = packed((0..<5).map { codes[$0][index] }) }
    for index in 0..<16 { block[32 + index] = packed((0..<5).map { code(160 + 16 * $0 + index) }) }
    for index in 0..<4 { block[48 + index] = packed((0..<4).map { code(240 + 4 * $0 + index) }) }

    func code(_ element: Int) -> UInt8 { codes[element / 32][element % 32] }
  }

  /// The fraction of 256 that a number of five base-3 digits is of 243, rounded up; the first digit is the highest.
  private static func packed(_ digits: [UInt8]) -> UInt8 {
    var number = 0
    for index in 0..<5 { number = 3 * number + (index < digits.count ? Int(digits[index]) : 0) }
    return UInt8((number * 256 + 242) / 243)
  }
}

extension TQ2_0: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let scale = ternaryScale(values)
    block.setHalf(64, scale)
    for half in 0..<2 {
      var bytes = SIMD32<UInt8>(repeating: 0)
      for plane in 0..<4 {
        bytes |= ternaryCodes(values.vector(128 * half + 32 * plane), scale) &<< UInt8(2 * plane)
      }
      block.set(32 * half, bytes)
    }
  }
}

private func ternaryScale(_ values: BlockValues) -> Float {
  (0..<8).reduce(0) { max($0, values.vector(32 * $1).extreme().magnitude) }
}

/// 0, 1 or 2.
private func ternaryCodes(_ values: Vector32, _ scale: Float) -> SIMD32<UInt8> {
  ((values * inverse(scale)).nearestAwayFromZero.clamped(-1, 1) + 1).codes
}
