// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The first block types of ggml: 32 elements, a 16-bit scale d, and a minimum m in the "_1" types.

/// d · (q − 8). Bytes: d, 16 × two codes.
enum Q4_0: BlockFormat {
  static let (name, elements, bytes) = ("Q4_0", 32, 18)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(0)
    block.forEachNibble(at: 2, count: 16) { values[$0] = scale * Float(Int32($1) - 8) }
  }
}

/// d · q + m. Bytes: d, m, 16 × two codes.
enum Q4_1: BlockFormat {
  static let (name, elements, bytes) = ("Q4_1", 32, 20)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(0)
    let minimum = block.half(2)
    block.forEachNibble(at: 4, count: 16) { values[$0] = scale * Float($1) + minimum }
  }
}

/// d · (q − 16). Bytes: d, 32 × the fifth bit, 16 × two codes.
enum Q5_0: BlockFormat {
  static let (name, elements, bytes) = ("Q5_0", 32, 22)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(0)
    let highBits = block.longWord(2)
    block.forEachNibble(at: 6, count: 16) { index, code in
      let high = Int32(highBits >> UInt32(index) & 1) << 4
      values[index] = scale * Float((Int32(code) | high) - 16)
    }
  }
}

/// d · q + m. Bytes: d, m, 32 × the fifth bit, 16 × two codes.
enum Q5_1: BlockFormat {
  static let (name, elements, bytes) = ("Q5_1", 32, 24)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(0)
    let minimum = block.half(2)
    let highBits = block.longWord(4)
    block.forEachNibble(at: 8, count: 16) { index, code in
      let high = Int32(highBits >> UInt32(index) & 1) << 4
      values[index] = scale * Float(Int32(code) | high) + minimum
    }
  }
}

/// d · q. Bytes: d, 32 × a signed code.
enum Q8_0: BlockFormat {
  static let (name, elements, bytes) = ("Q8_0", 32, 34)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    let scale = block.half(0)
    for index in 0..<32 { values[index] = Float(block.signed(2 + index)) * scale }
  }
}
