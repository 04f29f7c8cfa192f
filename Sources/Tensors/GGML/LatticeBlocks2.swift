// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Points of 8 magnitudes, and signs: ± d · (sc + 1/2) / 4 · c, with 4-bit sc.

/// Sub-blocks of 32. Bytes: d, 8 × (4 × a point, a word of 4 × 7 signs and sc).
enum IQ2_XXS: BlockFormat {
  static let (name, elements, bytes) = ("IQ2_XXS", 256, 66)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let coordinates = Lattice.iq2XXS.coordinates
    let scale = block.half(0)
    for part in 0..<8 {
      let points = 2 + 8 * part
      let word = block.longWord(points + 4)
      let subscale = scale * (0.5 + Float(word >> 28)) * 0.25
      for index in 0..<4 {
        values.set(
          32 * part + 8 * index, count: 8, subscale, coordinates.span, 8 * Int(block[points + index]),
          signs: evenSigns(word >> UInt32(7 * index)))
      }
    }
  }
}

/// Sub-blocks of 16. Bytes: d, 32 × (9 bits of a point, 7 signs), 8 × two sc.
enum IQ2_XS: BlockFormat {
  static let (name, elements, bytes) = ("IQ2_XS", 256, 74)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let coordinates = Lattice.iq2XS.coordinates
    let scale = block.half(0)
    for index in 0..<32 {
      let word = block.word(2 + 2 * index)
      let subscale = scale * (0.5 + Float(block.nibble(66, index / 2))) * 0.25
      values.set(
        8 * index, count: 8, subscale, coordinates.span, 8 * Int(word & 511), signs: evenSigns(UInt32(word >> 9)))
    }
  }
}

/// Sub-blocks of 16. Bytes: d, 32 × the low byte of a point, 32 × 8 signs, 8 × the high two bits of four points,
/// 8 × two sc.
enum IQ2_S: BlockFormat {
  static let (name, elements, bytes) = ("IQ2_S", 256, 82)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let coordinates = Lattice.iq2S.coordinates
    let scale = block.half(0)
    for index in 0..<32 {
      let high = Int(block[66 + index / 4] >> UInt8(index % 4 * 2) & 3)
      let point = Int(block[2 + index]) | high << 8
      let subscale = scale * (0.5 + Float(block.nibble(74, index / 2))) * 0.25
      values.set(8 * index, count: 8, subscale, coordinates.span, 8 * point, signs: block[34 + index])
    }
  }
}
