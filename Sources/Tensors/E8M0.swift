// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// e8m0, the scale of the OCP Microscaling formats: a power of two, 2^(b − 127), without sign or zero; 255 is NaN.
public enum E8M0 {
  public static let nan: UInt8 = 255

  /// The value of a code. Code 0 is 2^−127, a subnormal float (decoders that shift the bits make it 0).
  @inlinable
  public static func decode(_ code: UInt8) -> Float {
    switch code {
    case 0: Float(bitPattern: 0x0040_0000)
    case nan: .nan
    default: Float(bitPattern: UInt32(code) << 23)
    }
  }

  /// The power of two next to `value` by `rule`: `.up`, `.down`, or the nearest one (ties go up).
  ///
  /// Finite values beyond the range, and 0, saturate. What has no magnitude as a scale (a negative number, infinity,
  /// NaN) becomes NaN, so that it is found instead of hidden.
  public static func encode(_ value: Float, rounding rule: FloatingPointRoundingRule = .toNearestOrEven) -> UInt8 {
    guard value >= 0, value.isFinite else { return nan }
    guard value > decode(0) else { return 0 }
    let rest: Float = value.significand  // in 1 ..< 2
    let roundsUp =
      switch rule {
      case .up, .awayFromZero: rest > 1
      case .down, .towardZero: false
      default: rest >= 1.5
      }
    return UInt8(min(value.exponent + 127 + (roundsUp ? 1 : 0), 254))
  }
}
