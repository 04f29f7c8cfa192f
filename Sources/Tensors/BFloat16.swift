// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// bf16: the upper half of a 32-bit float.
public enum BFloat16 {
  @inlinable
  public static func decode(_ code: UInt16) -> Float { Float(bitPattern: UInt32(code) << 16) }

  /// Rounds to nearest, ties to even; overflows to infinity as IEEE 754 does, and a NaN stays a (quiet) NaN.
  @inlinable
  public static func encode(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
  }
}
