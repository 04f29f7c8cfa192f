// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes −1, 0 and 1 with one 16-bit scale per 256 elements.

/// d · q, five codes in a byte. Bytes: 32 × five codes, 16 × five, 4 × four, d.
///
/// A byte is a fraction of 256 in base 3: its digit n is the whole part of 3 · (3^n · byte mod 256) / 256.
enum TQ1_0: BlockFormat {
  static let (name, elements, bytes) = ("TQ1_0", 256, 54)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    decode(block, at: 0, count: 32, digits: 5, values, from: 0)
    decode(block, at: 32, count: 16, digits: 5, values, from: 160)
    decode(block, at: 48, count: 4, digits: 4, values, from: 240)
  }

  @inline(__always)
  private static func decode(
    _ block: BlockBytes, at start: Int, count: Int, digits: Int, _ values: BlockFloats, from element: Int
  ) {
    let scale = block.half(52)
    var power: UInt8 = 1
    for digit in 0..<digits {
      for index in 0..<count {
        let code = UInt16(block[start + index] &* power) * 3
        values[element + digit * count + index] = scale * Float(Int32(code >> 8) - 1)
      }
      power &*= 3
    }
  }
}

/// d · (q − 1). Bytes: 64 × four codes in planes, d. Code 3 is 2, which no encoder writes.
enum TQ2_0: BlockFormat {
  static let (name, elements, bytes) = ("TQ2_0", 256, 66)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(64)
    for part in 0..<8 {
      let codes = part / 4 * 32
      let shift = UInt8(part % 4 * 2)
      for index in 0..<32 {
        values[32 * part + index] = scale * Float(Int32(block[codes + index] >> shift & 3) - 1)
      }
    }
  }
}
