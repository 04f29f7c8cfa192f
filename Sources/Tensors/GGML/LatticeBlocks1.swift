// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Points with coordinates −1, 0 and 1, shifted by ±1/8: d · (2 · sc + 1) · (c ± 1/8).

/// Sub-blocks of 32, one sc and one shift each. Bytes: d, 32 × the low byte of a point, 8 × (shift, sc, 4 × the high
/// three bits of a point).
enum IQ1_S: BlockFormat {
  static let (name, elements, bytes) = ("IQ1_S", 256, 50)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let coordinates = Lattice.iq1.coordinates
    let scale = block.half(0)
    for part in 0..<8 {
      let word = block.word(34 + 2 * part)
      let subscale = scale * Float(2 * (word >> 12 & 7) + 1)
      let shift: Float = word & 0x8000 == 0 ? 0.125 : -0.125
      for index in 0..<4 {
        let high = Int(word >> UInt16(3 * index) & 7)
        let point = Int(block[2 + 4 * part + index]) | high << 8
        values.set(32 * part + 8 * index, subscale, shift, coordinates.span, 8 * point)
      }
    }
  }
}

/// Sub-blocks of 16 with one sc each, a shift for 8. Bytes: 32 × the low byte of a point, 16 × two (shift, high three
/// bits), 4 words: 12 bits of four sc, and above them four bits of d.
enum IQ1_M: BlockFormat {
  static let (name, elements, bytes) = ("IQ1_M", 256, 56)

  /// d, four bits from each of the last words.
  @inline(__always)
  static func scale(_ block: BlockBytes) -> Float {
    var bits: UInt16 = 0
    for index in 0..<4 { bits |= (block.word(48 + 2 * index) >> 12) << UInt16(4 * index) }
    return Float(Float16(bitPattern: bits))
  }

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let coordinates = Lattice.iq1.coordinates
    let scale = scale(block)
    for index in 0..<32 {
      let part = index / 2
      let subscale = scale * Float(2 * (block.word(48 + part / 4 * 2) >> UInt16(part % 4 * 3) & 7) + 1)
      let high = block.nibble(32, index)
      let shift: Float = high & 8 == 0 ? 0.125 : -0.125
      let point = Int(block[index]) | Int(high & 7) << 8
      values.set(8 * index, subscale, shift, coordinates.span, 8 * point)
    }
  }
}

extension BlockFloats {
  /// Writes eight elements from `start` on.
  @inline(__always)
  fileprivate func set(_ start: Int, _ scale: Float, _ shift: Float, _ lattice: Span<Int8>, _ point: Int) {
    for index in 0..<8 { self[start + index] = scale * (Float(lattice[point + index]) + shift) }
  }
}
