// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Q3_K and Q6_K: codes around 0.

extension Q3_K: EncodableBlockFormat {
  private enum Levels: CodeLevels {
    static let extremes = (-9...9).map { -4 + Float($0) * 0.1 }

    @inline(__always)
    static func levels(_ values: Vector32) -> Vector32 { values.nearest.clamped(-4, 3) }
  }

  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let found = SymmetricSuperBlock<Levels>((0..<16).map { values.twice(16 * $0) }, greatest: 32)
    let codes = (0..<16).map { (found.levels($0) + 4).codes.lowHalf }
    for run in 0..<2 {
      var highBits = SIMD16<UInt8>(repeating: 0)
      for plane in 0..<8 { highBits |= (codes[2 * plane + run] &>> 2 & 1) &<< UInt8(plane) }
      block.set(16 * run, highBits)
    }
    block.setPlanes(32) { codes[$0] }
    let scales = found.scales.map { UInt8($0 + 32) }
    for index in 0..<8 { block[96 + index] = scales[index] & 15 | scales[index + 8] << 4 }
    for index in 0..<4 {
      block[104 + index] = (0..<4).reduce(0) { $0 | (scales[index + 4 * $1] >> 4) << UInt8(2 * $1) }
    }
    block.setHalf(108, found.scale)
  }
}

extension Q6_K: EncodableBlockFormat {
  private enum Levels: CodeLevels {
    static let extremes = (-9...9).map { -32 + Float($0) * 0.1 }

    @inline(__always)
    static func levels(_ values: Vector32) -> Vector32 { values.nearest.clamped(-32, 31) }
  }

  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let found = SymmetricSuperBlock<Levels>((0..<16).map { values.twice(16 * $0) }, greatest: 128)
    let codes = (0..<16).map { (found.levels($0) + 32).codes.lowHalf }
    for half in 0..<2 {
      // Of 128 elements, those 64 apart share a byte of low bits.
      for run in 0..<4 {
        let first = codes[8 * half + run]
        block.set(64 * half + 16 * run, first & 15 | codes[8 * half + run + 4] &<< 4)
      }
    }
    block.setPlanes(128) { codes[$0] &>> 4 }
    for part in 0..<16 { block[192 + part] = UInt8(bitPattern: Int8(found.scales[part])) }
    block.setHalf(208, found.scale)
  }
}
