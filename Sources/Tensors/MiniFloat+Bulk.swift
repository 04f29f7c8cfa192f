// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension MiniFloat {
  /// The codes next to `values` · `multiplier`, as `encode` rounds them, many at a time.
  ///
  /// Products beyond the range saturate.
  ///
  /// - Parameters:
  ///   - values: 32-bit numbers.
  ///   - multiplier: What they are multiplied by, the inverse of a scale.
  ///   - codes: Room for the codes.
  ///   - start: The place of the first code.
  /// - Precondition: The values are finite, and so is the multiplier.
  public func encode(
    _ values: Span<Float>, times multiplier: Float, into codes: inout MutableSpan<UInt8>, at start: Int = 0
  ) {
    precondition(start >= 0 && start <= codes.count && values.count <= codes.count - start, "codes without room")
    let shift = UInt32(23 - mantissaBits)
    let leastNormal = UInt32(128 - bias) << 23
    let greatest = greatestFinite.bitPattern
    // Moves the exponent to the format's, and rounds up what is above the middle.
    let rebias = (1 << (shift - 1)) &- 1 &- UInt32(127 - bias) << 23
    // Below the least normal value codes count units: in a sum with 2^23 units these are the lowest bits.
    let counter = Float(sign: .plus, exponent: 24 - bias - mantissaBits, significand: 1)
    let signShift = UInt32(32 - bitWidth)
    let signMask: UInt32 = 1 << UInt32(bitWidth - 1)
    let hasNegativeZero = specials != .negativeZeroIsNaN
    let count = values.count
    unsafe values.withUnsafeBufferPointer { values in
      unsafe codes.withUnsafeMutableBufferPointer { codes in
        for index in 0..<count {
          let bits = unsafe (values[index] * multiplier).bitPattern
          let magnitude = min(bits & 0x7FFF_FFFF, greatest)
          let normal = (magnitude &+ rebias &+ (magnitude >> shift & 1)) >> shift
          let small = (Float(bitPattern: magnitude) + counter).bitPattern &- counter.bitPattern
          let code = magnitude < leastNormal ? small : normal
          let sign = hasNegativeZero || code != 0 ? bits >> signShift & signMask : 0
          unsafe codes[start + index] = UInt8(truncatingIfNeeded: code | sign)
        }
      }
    }
  }
}
