// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension IQ4_NL: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let vector = values.vector(0)
    let scale = storable(SymmetricFit<NonLinearLevels>(vector).scale)
    block.setHalf(0, scale)
    block.setNibbles(2, NonLinearLevels.codes(vector * inverse(scale)))
  }
}

extension IQ4_XS: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let found = SymmetricSuperBlock<NonLinearLevels>((0..<8).map { values.vector(32 * $0) }, greatest: 32)
    block.setHalf(0, found.scale)
    let scales = found.scales.map { UInt16($0 + 32) }
    block.setWord(2, (0..<8).reduce(0) { $0 | (scales[$1] >> 4) << UInt16(2 * $1) })
    for pair in 0..<4 {
      block[4 + pair] = UInt8(scales[2 * pair] & 15 | (scales[2 * pair + 1] & 15) << 4)
    }
    for part in 0..<8 { block.setNibbles(8 + 16 * part, NonLinearLevels.codes(exactly: found.levels(part))) }
  }
}

/// The sixteen values of IQ4_NL and IQ4_XS.
private enum NonLinearLevels: CodeLevels {
  private static let table: InlineArray<16, Float> = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
  ]
  /// Between each value and the one before it.
  private static let middles: InlineArray<16, Float> = [
    -.infinity, -115.5, -93.5, -74, -57, -42, -28.5, -16, -4.5, 7, 19, 31.5, 45.5, 61, 79, 101,
  ]

  /// Both ends: the table is not even.
  static let extremes = (-7...7).flatMap { [-127 + Float($0), 113 + Float($0)] }

  @inline(__always)
  static func levels(_ values: Vector32) -> Vector32 {
    values.map { values in
      var levels = SIMD8(repeating: table[0])
      for index in 1..<16 {
        levels.replace(with: SIMD8(repeating: table[index]), where: values .> middles[index])
      }
      return levels
    }
  }

  static func codes(_ values: Vector32) -> SIMD32<UInt8> { codes(exactly: levels(values)) }

  /// The codes of levels.
  static func codes(exactly levels: Vector32) -> SIMD32<UInt8> {
    levels.map { levels in
      var codes = SIMD8<Float>(repeating: 0)
      for index in 1..<16 { codes.replace(with: codes + 1, where: levels .>= table[index]) }
      return codes
    }.codes
  }
}
