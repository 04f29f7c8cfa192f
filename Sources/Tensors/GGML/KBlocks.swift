// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The K types of ggml: super-blocks of 256 elements with quantised scales of sub-blocks.
//
// Codes of 2 bits lie in planes: 32 bytes hold 128 elements, 32 in each pair of bits.

/// Sub-blocks of 16: d · sc · q − dmin · m, with 4-bit sc and m. Bytes: 16 × (sc, m), 64 × four codes, d, dmin.
enum Q2_K: BlockFormat {
  static let (name, elements, bytes) = ("Q2_K", 256, 84)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(80)
    let minimumScale = block.half(82)
    for part in 0..<16 {
      let subscale = scale * Float(block[part] & 15)
      let minimum = minimumScale * Float(block[part] >> 4)
      let codes = 16 + part / 8 * 32 + part % 2 * 16
      let shift = UInt8(part / 2 % 4 * 2)
      for index in 0..<16 {
        values[16 * part + index] = subscale * Float(block[codes + index] >> shift & 3) - minimum
      }
    }
  }
}

/// Sub-blocks of 16: d · (sc − 32) · q, with 6-bit sc and q in −4 ... 3.
///
/// Bytes: 32 × the third bits (0 means −4) of eight elements, 64 × four codes, 12 of scales, d. The scales: byte
/// k % 8 has four low bits of sc k, byte 8 + k % 4 its two high bits.
enum Q3_K: BlockFormat {
  static let (name, elements, bytes) = ("Q3_K", 256, 110)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(108)
    for part in 0..<16 {
      let low = Int32(block[96 + part % 8] >> UInt8(part / 8 * 4) & 15)
      let high = Int32(block[104 + part % 4] >> UInt8(part / 4 * 2) & 3)
      let subscale = scale * Float((low | high << 4) - 32)
      let codes = 32 + part / 8 * 32 + part % 2 * 16
      let shift = UInt8(part / 2 % 4 * 2)
      let highBits = part % 2 * 16
      let plane = UInt8(part / 2)
      for index in 0..<16 {
        let code = Int32(block[codes + index] >> shift & 3)
        let isHigh = Int32(block[highBits + index] >> plane & 1)
        values[16 * part + index] = subscale * Float(code - 4 + isHigh << 2)
      }
    }
  }
}

/// Sub-blocks of 32: d · sc · q − dmin · m, with 6-bit sc and m. Bytes: d, dmin, 12 of scales, 128 × two codes.
enum Q4_K: BlockFormat {
  static let (name, elements, bytes) = ("Q4_K", 256, 144)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let (blockScale, minimumScale) = (block.half(0), block.half(2))
    for part in 0..<8 {
      let scale = blockScale * Float(block.scale(part))
      let minimum = minimumScale * Float(block.minimum(part))
      let codes = 16 + part / 2 * 32
      let shift = UInt8(part % 2 * 4)
      for index in 0..<32 {
        values[32 * part + index] = scale * Float(block[codes + index] >> shift & 15) - minimum
      }
    }
  }
}

/// As Q4_K with a fifth bit. Bytes: d, dmin, 12 of scales, 32 × the fifth bits of eight elements, 128 × two codes.
enum Q5_K: BlockFormat {
  static let (name, elements, bytes) = ("Q5_K", 256, 176)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let (blockScale, minimumScale) = (block.half(0), block.half(2))
    for part in 0..<8 {
      let scale = blockScale * Float(block.scale(part))
      let minimum = minimumScale * Float(block.minimum(part))
      let codes = 48 + part / 2 * 32
      let shift = UInt8(part % 2 * 4)
      let plane = UInt8(part)
      for index in 0..<32 {
        let code = block[codes + index] >> shift & 15 | (block[16 + index] >> plane & 1) << 4
        values[32 * part + index] = scale * Float(code) - minimum
      }
    }
  }
}

/// Sub-blocks of 16: d · sc · (q − 32), with signed 8-bit sc. Bytes: 128 × the low four bits of two elements, 64 × the
/// high two bits of four, 16 × sc, d.
enum Q6_K: BlockFormat {
  static let (name, elements, bytes) = ("Q6_K", 256, 210)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(208)
    for part in 0..<16 {
      let subscale = scale * Float(block.signed(192 + part))
      let low = part / 8 * 64 + part % 4 * 16
      let lowShift = UInt8(part / 4 % 2 * 4)
      let high = 128 + part / 8 * 32 + part % 2 * 16
      let highShift = UInt8(part / 2 % 4 * 2)
      for index in 0..<16 {
        let code = block[low + index] >> lowShift & 15 | (block[high + index] >> highShift & 3) << 4
        values[16 * part + index] = subscale * Float(Int32(code) - 32)
      }
    }
  }
}

extension BlockBytes {
  // Twelve bytes from byte 4 on hold eight 6-bit scales and minima of Q4_K and Q5_K: bytes 0–3 and 4–7 the first four of
  // each, and in their upper two bits those of the last four; bytes 8–11 the nibbles of these.

  /// The 6-bit scale of sub-block `part`.
  @inline(__always)
  func scale(_ part: Int) -> UInt8 {
    part < 4 ? self[4 + part] & 63 : self[8 + part] & 15 | (self[part] & 0xC0) >> 2
  }

  /// The 6-bit minimum of sub-block `part`.
  @inline(__always)
  func minimum(_ part: Int) -> UInt8 {
    part < 4 ? self[8 + part] & 63 : self[8 + part] >> 4 | (self[4 + part] & 0xC0) >> 2
  }
}
