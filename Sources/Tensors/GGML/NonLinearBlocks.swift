// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// 4-bit codes into a table of 16 values that are denser around 0.

/// d · table[q]. Bytes: d, 16 × two codes.
enum IQ4_NL: BlockFormat {
  static let (name, elements, bytes) = ("IQ4_NL", 32, 18)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(0)
    block.forEachNibble(at: 2, count: 16) { values[$0] = scale * nonLinear($1) }
  }
}

/// Sub-blocks of 32: d · (sc − 32) · table[q], with 6-bit sc. Bytes: d, 8 × two high bits of sc, 4 × the low bits of
/// two sc, 128 × two codes.
enum IQ4_XS: BlockFormat {
  static let (name, elements, bytes) = ("IQ4_XS", 256, 136)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(0)
    let highBits = block.word(2)
    for part in 0..<8 {
      let high = Int32(highBits >> UInt16(2 * part) & 3)
      let subscale = scale * Float((Int32(block.nibble(4, part)) | high << 4) - 32)
      block.forEachNibble(at: 8 + 16 * part, count: 16) { values[32 * part + $0] = subscale * nonLinear($1) }
    }
  }
}

/// The value of a code.
@inline(__always)
private func nonLinear(_ code: UInt8) -> Float {
  // Sixteen signed bytes as two words, the first in the lowest byte: no memory, no bounds.
  let word: UInt64 = code < 8 ? 0xF6EA_DDCF_BFAD_9881 : 0x7159_4535_2619_0D01
  return Float(Int8(truncatingIfNeeded: word >> (8 * UInt64(code & 7))))
}
