// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes and scales of the types with two levels of scales: see the decoders for how the bytes lie.

extension Q2_K: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 2, group: 16, hasMinimums: true, isTwoLevel: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 { block.planeCode(at: 16, element) }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { Float(block[group] & 15) }
  static func minimum(_ block: BlockBytes, _ group: Int) -> Float { Float(block[group] >> 4) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(80), block.half(82)) }
}

extension Q3_K: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 3, from: -4, group: 16, isTwoLevel: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.planeCode(at: 32, element) | (block[element % 32] >> UInt8(element / 32) & 1) << 2
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float {
    let low = block[96 + group % 8] >> UInt8(group / 8 * 4) & 15
    let high = block[104 + group % 4] >> UInt8(group / 4 * 2) & 3
    return Float(Int(low | high << 4) - 32)
  }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(108), 1) }
}

extension Q4_K: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 4, group: 32, hasMinimums: true, isTwoLevel: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.halfCode(at: 16 + element / 64 * 32, count: 32, element % 64)
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { Float(block.scale(group)) }
  static func minimum(_ block: BlockBytes, _ group: Int) -> Float { Float(block.minimum(group)) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0), block.half(2)) }
}

extension Q5_K: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 5, group: 32, hasMinimums: true, isTwoLevel: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.halfCode(at: 48 + element / 64 * 32, count: 32, element % 64)
      | (block[16 + element % 32] >> UInt8(element / 32) & 1) << 4
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { Float(block.scale(group)) }
  static func minimum(_ block: BlockBytes, _ group: Int) -> Float { Float(block.minimum(group)) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0), block.half(2)) }
}

extension Q6_K: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 6, from: -32, group: 16, isTwoLevel: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.halfCode(at: element / 128 * 64, count: 64, element % 128) | block.planeCode(at: 128, element) << 4
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { Float(block.signed(192 + group)) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(208), 1) }
}

extension IQ4_XS: CodedFormat {
  static let coding = GGMLCoding(bits: 4, IQ4_NL.values, group: 32, isTwoLevel: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.halfCode(at: 8 + element / 32 * 16, count: 16, element % 32)
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float {
    let high = UInt8(block.word(2) >> UInt16(2 * group) & 3)
    return Float(Int(block.nibble(4, group) | high << 4) - 32)
  }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0), 1) }
}

extension BlockBytes {
  /// A 2-bit code of planes: 32 bytes hold 128 elements, 32 in each pair of bits.
  @inline(__always)
  fileprivate func planeCode(at offset: Int, _ element: Int) -> UInt8 {
    self[offset + element / 128 * 32 + element % 32] >> UInt8(element / 32 % 4 * 2) & 3
  }
}
