// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A 64-bit digest of bytes, to find copies. It protects against no attacker.
///
/// Four chains of multiplications side by side, so that it runs at the speed of the memory.
package struct ContentDigest: Sendable {
  private var chains: (UInt64, UInt64, UInt64, UInt64) = (
    0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x27D4_EB2F_1656_67C5
  )
  private var byteCount: UInt64 = 0

  package init() {}

  private static let prime: UInt64 = 0x9FB2_1C65_1E98_DF25

  private static func mix(_ chain: UInt64, _ word: UInt64) -> UInt64 {
    let product = (chain ^ word) &* prime
    return product ^ product >> 32
  }

  package mutating func add(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { source in
      var offset = 0
      func word(_ index: Int) -> UInt64 {
        UInt64(littleEndian: unsafe source.loadUnaligned(fromByteOffset: offset + 8 * index, as: UInt64.self))
      }
      var (a, b, c, d) = chains
      while offset + 32 <= bytes.count {
        (a, b, c, d) = (Self.mix(a, word(0)), Self.mix(b, word(1)), Self.mix(c, word(2)), Self.mix(d, word(3)))
        offset += 32
      }
      for byte in bytes[offset...] { a = Self.mix(a, UInt64(byte)) }
      chains = (a, b, c, d)
    }
    byteCount += UInt64(bytes.count)
  }

  package var value: UInt64 {
    var result = Self.mix(chains.0, byteCount)
    for chain in [chains.1, chains.2, chains.3] { result = Self.mix(result, chain) }
    return result
  }
}
