// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// Q2_K, Q4_K and Q5_K: scales and minima.

extension Q2_K: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let found = AffineSuperBlock((0..<16).map { values.twice(16 * $0) }, levels: 3, greatest: 15)
    for part in 0..<16 { block[part] = UInt8(found.scales[part]) | UInt8(found.minima[part]) << 4 }
    block.setPlanes(16) { found.codes($0).lowHalf }
    block.setHalf(80, found.scale)
    block.setHalf(82, found.minimumScale)
  }
}

extension Q4_K: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let found = AffineSuperBlock((0..<8).map { values.vector(32 * $0) }, levels: 15, greatest: 63)
    block.setScales(found)
    for pair in 0..<4 { block.set(16 + 32 * pair, found.codes(2 * pair) | found.codes(2 * pair + 1) &<< 4) }
  }
}

extension Q5_K: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let found = AffineSuperBlock((0..<8).map { values.vector(32 * $0) }, levels: 31, greatest: 63)
    block.setScales(found)
    var highBits = SIMD32<UInt8>(repeating: 0)
    for pair in 0..<4 {
      let (low, high) = (found.codes(2 * pair), found.codes(2 * pair + 1))
      block.set(48 + 32 * pair, low & 15 | high &<< 4)
      highBits |= (low &>> 4) &<< UInt8(2 * pair) | (high &>> 4) &<< UInt8(2 * pair + 1)
    }
    block.set(16, highBits)
  }
}

extension BlockTarget {
  /// d, dmin and the twelve bytes of 6-bit scales and minima, as `BlockBytes.scale` and `minimum` read them.
  fileprivate func setScales(_ found: AffineSuperBlock) {
    setHalf(0, found.scale)
    setHalf(2, found.minimumScale)
    for part in 0..<4 {
      let (scale, minimum) = (UInt8(found.scales[part]), UInt8(found.minima[part]))
      let (laterScale, laterMinimum) = (UInt8(found.scales[part + 4]), UInt8(found.minima[part + 4]))
      self[4 + part] = scale | (laterScale & 0x30) << 2
      self[8 + part] = minimum | (laterMinimum & 0x30) << 2
      self[12 + part] = laterScale & 15 | laterMinimum << 4
    }
  }

  /// The low two bits of 16 sub-blocks of 16 codes in planes: 32 bytes hold 128 elements, 32 in each pair of bits.
  func setPlanes(_ offset: Int, _ codes: (_ part: Int) -> SIMD16<UInt8>) {
    for run in 0..<4 {
      var bytes = SIMD16<UInt8>(repeating: 0)
      for plane in 0..<4 { bytes |= (codes(run / 2 * 8 + 2 * plane + run % 2) & 3) &<< UInt8(2 * plane) }
      set(offset + 16 * run, bytes)
    }
  }
}
