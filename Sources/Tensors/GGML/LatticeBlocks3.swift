// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Points of 4 magnitudes, and signs. Sub-blocks of 32 with 4-bit sc.

/// ± d · (sc + 1/2) / 2 · c. Bytes: d, 64 × a point, 8 words of 4 × 7 signs and sc.
enum IQ3_XXS: BlockFormat {
  static let (name, elements, bytes) = ("IQ3_XXS", 256, 98)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let coordinates = Lattice.iq3XXS.coordinates
    let scale = block.half(0)
    for part in 0..<8 {
      let word = block.longWord(66 + 4 * part)
      let subscale = scale * (0.5 + Float(word >> 28)) * 0.5
      for index in 0..<8 {
        let signs = evenSigns(word >> UInt32(index / 2 * 7)) >> UInt8(index % 2 * 4)
        values.set(
          32 * part + 4 * index, count: 4, subscale, coordinates.span, 4 * Int(block[2 + 8 * part + index]),
          signs: signs)
      }
    }
  }
}

/// ± d · (2 · sc + 1) · c. Bytes: d, 64 × the low byte of a point, 8 × the ninth bits of eight points, 32 × 8 signs,
/// 4 × two sc.
enum IQ3_S: BlockFormat {
  static let (name, elements, bytes) = ("IQ3_S", 256, 110)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let coordinates = Lattice.iq3S.coordinates
    let scale = block.half(0)
    for index in 0..<64 {
      let high = Int(block[66 + index / 8] >> UInt8(index % 8) & 1)
      let point = Int(block[2 + index]) | high << 8
      let subscale = scale * Float(1 + 2 * block.nibble(106, index / 8))
      values.set(
        4 * index, count: 4, subscale, coordinates.span, 4 * point,
        signs: block[74 + index / 2] >> UInt8(index % 2 * 4))
    }
  }
}
