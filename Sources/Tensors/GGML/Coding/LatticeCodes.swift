// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Codes and scales of the lattice types. A point is only the way to store eight or four weights: each of its coordinates
// is one of few magnitudes, and with its sign a code of 3 or 4 bits.
//
// The scales are the odd numbers 2 · sc + 1; what is left of (sc + 1/2) / 4 and the like is a power of two in the factor.

extension IQ2_XXS: CodedFormat {
  static let coding = GGMLCoding.signed(bits: 3, [8, 25, 43], group: 32)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let points = 2 + element / 32 * 8
    let index = element % 32 / 8
    let signs = evenSigns(block.longWord(points + 4) >> UInt32(7 * index))
    return eighths(Lattice.iq2XXS, Int(block[points + index]), element, signs)
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { odd(block.longWord(6 + 8 * group) >> 28) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0) * 0.125, 1) }
}

extension IQ2_XS: CodedFormat {
  static let coding = GGMLCoding.signed(bits: 3, [8, 25, 43], group: 16)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let word = block.word(2 + element / 8 * 2)
    return eighths(Lattice.iq2XS, Int(word & 511), element, evenSigns(UInt32(word >> 9)))
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { odd(block.nibble(66, group)) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0) * 0.125, 1) }
}

extension IQ2_S: CodedFormat {
  static let coding = GGMLCoding.signed(bits: 3, [8, 25, 43], group: 16)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let index = element / 8
    let high = Int(block[66 + index / 4] >> UInt8(index % 4 * 2) & 3)
    return eighths(Lattice.iq2S, Int(block[2 + index]) | high << 8, element, block[34 + index])
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { odd(block.nibble(74, group)) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0) * 0.125, 1) }
}

extension IQ3_XXS: CodedFormat {
  static let coding = GGMLCoding.signed(bits: 4, [4, 12, 20, 28, 36, 44, 52, 62], group: 32)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let index = element % 32 / 4
    let signs = evenSigns(block.longWord(66 + element / 32 * 4) >> UInt32(index / 2 * 7))
    let coordinate = Lattice.iq3XXS.coordinates[4 * Int(block[2 + element / 4]) + element % 4]
    return UInt8((coordinate - 4) / 8) | (signs >> UInt8(element % 8) & 1) << 3
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { odd(block.longWord(66 + 4 * group) >> 28) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0) * 0.25, 1) }
}

extension IQ3_S: CodedFormat {
  static let coding = GGMLCoding.signed(bits: 4, [1, 3, 5, 7, 9, 11, 13, 15], group: 32)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let index = element / 4
    let high = Int(block[66 + index / 8] >> UInt8(index % 8) & 1)
    let coordinate = Lattice.iq3S.coordinates[4 * (Int(block[2 + index]) | high << 8) + element % 4]
    return UInt8((coordinate - 1) / 2) | (block[74 + element / 8] >> UInt8(element % 8) & 1) << 3
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { odd(block.nibble(106, group)) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0), 1) }
}

extension IQ1_S: CodedFormat {
  static let coding = GGMLCoding(bits: 3, ternary, group: 32, isTwoLevel: true)
  /// −1, 0 and 1 shifted up, and from code 4 on shifted down.
  static let ternary: [Float] = [-0.875, 0.125, 1.125, 0, -1.125, -0.125, 0.875]

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let (part, index) = (element / 32, element / 8)
    let word = block.word(34 + 2 * part)
    let point = Int(block[2 + index]) | Int(word >> UInt16(index % 4 * 3) & 7) << 8
    return UInt8(Lattice.iq1.coordinates[8 * point + element % 8] + 1) | UInt8(word >> 15) << 2
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float { odd(block.word(34 + 2 * group) >> 12 & 7) }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (block.half(0), 1) }
}

extension IQ1_M: CodedFormat {
  static let coding = GGMLCoding(bits: 3, IQ1_S.ternary, group: 16, isTwoLevel: true)

  static func code(_ block: BlockBytes, _ element: Int) -> UInt8 {
    let high = block.nibble(32, element / 8)
    let point = Int(block[element / 8]) | Int(high & 7) << 8
    return UInt8(Lattice.iq1.coordinates[8 * point + element % 8] + 1) | (high >> 3) << 2
  }
  static func scale(_ block: BlockBytes, _ group: Int) -> Float {
    odd(block.word(48 + group / 4 * 2) >> UInt16(group % 4 * 3) & 7)
  }
  static func factors(_ block: BlockBytes) -> (scale: Float, minimum: Float) { (scale(block), 1) }
}

@inline(__always)
private func odd(_ code: some BinaryInteger) -> Float { Float(2 * Int(code) + 1) }

/// The code of a coordinate of a point in eight dimensions: 8, 25 or 43, and a sign.
@inline(__always)
private func eighths(_ lattice: Lattice, _ point: Int, _ element: Int, _ signs: UInt8) -> UInt8 {
  UInt8((lattice.coordinates[8 * point + element % 8] - 8) / 17) | (signs >> UInt8(element % 8) & 1) << 2
}
