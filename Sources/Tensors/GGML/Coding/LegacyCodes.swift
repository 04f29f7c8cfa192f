// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes and scales of the types with one level: see the decoders for how the bytes lie.

extension Q4_0: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 4, from: -8, group: 32)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 { block.halfCode(at: 2, count: 16, element) }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(0) }
}

extension Q4_1: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 4, group: 32, hasMinimums: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 { block.halfCode(at: 4, count: 16, element) }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(0) }
  static func minimum(_ block: BlockBytes, _ group: Int) -> Float { -block.half(2) }
}

extension Q5_0: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 5, from: -16, group: 32)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.halfCode(at: 6, count: 16, element) | UInt8(block.longWord(2) >> UInt32(element) & 1) << 4
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(0) }
}

extension Q5_1: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 5, group: 32, hasMinimums: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.halfCode(at: 8, count: 16, element) | UInt8(block.longWord(4) >> UInt32(element) & 1) << 4
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(0) }
  static func minimum(_ block: BlockBytes, _ group: Int) -> Float { -block.half(2) }
}

extension Q8_0: CodedFormat {
  static let coding = GGMLCoding(bits: 8, (0..<256).map { Float(Int8(truncatingIfNeeded: $0)) }, group: 32)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 { block[2 + element] }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(0) }
}

extension IQ4_NL: CodedFormat {
  static let coding = GGMLCoding(bits: 4, values, group: 32)
  static let values: [Float] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 { block.halfCode(at: 2, count: 16, element) }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(0) }
}

extension MXFP4: CodedFormat {
  static let coding = GGMLCoding(bits: 4, e2m1, group: 32)
  /// With 0 for −0, as in ggml.
  static let e2m1: [Float] = MiniFloat.e2m1.table.map { $0 + 0 }

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 { block.halfCode(at: 1, count: 16, element) }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { E8M0.decode(block[0]) }
}

extension NVFP4: CodedFormat {
  static let coding = GGMLCoding(bits: 4, MXFP4.e2m1, group: 16)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block.halfCode(at: 4 + element / 16 * 8, count: 8, element % 16)
  }
  /// The sign is ignored, as in ggml.
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { MiniFloat.e4m3fn.decode(block[group] & 0x7F) }
}

extension TQ1_0: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 2, from: -1, group: 256)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let (start, count, first) = element < 160 ? (0, 32, 0) : element < 240 ? (32, 16, 160) : (48, 4, 240)
    let place = element - first
    var power: UInt8 = 1
    for _ in 0..<place / count { power &*= 3 }
    let product = UInt16(block[start + place % count] &* power) * 3
    return UInt8(product >> 8)
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(52) }
}

extension TQ2_0: CodedFormat {
  static let coding = GGMLCoding.integers(bits: 2, from: -1, group: 256)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    block[element / 128 * 32 + element % 32] >> UInt8(element / 32 % 4 * 2) & 3
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { block.half(64) }
}
