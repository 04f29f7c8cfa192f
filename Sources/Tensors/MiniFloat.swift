// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A floating-point format of at most 8 bits, described by its fields.
///
/// ```swift
/// MiniFloat.e4m3fn.encode(17)     // 0x58: 16, the even one of 16 and 18
/// MiniFloat.e2m1.decode(0xB)      // -1.5
/// ```
///
/// Sources: OCP 8-bit Floating Point (OFP8) 1.0, OCP Microscaling Formats (MX) 1.0; the "fnuz" types are those of LLVM
/// and ONNX. Decoding is exact; encoding rounds to nearest, ties to the even code, and saturates.
public struct MiniFloat: Sendable {
  /// Which codes are no finite number.
  public enum Specials: Sendable {
    /// All codes are numbers.
    case none
    /// The code with all bits set below the sign is NaN; no infinity.
    case nan
    /// The code of −0 is the only NaN; no infinity and no −0.
    case negativeZeroIsNaN
    /// As IEEE 754: the highest exponent holds infinity and NaNs.
    case ieee
  }

  /// The name of the format in the field.
  public let name: String
  public let bitWidth: Int
  public let exponentBits: Int
  public let mantissaBits: Int
  public let bias: Int
  public let specials: Specials
  /// The value of each code: `[2^bitWidth]`.
  public let table: [Float]
  /// The code of the greatest finite value.
  public let greatestFiniteCode: UInt8

  /// The value at which encoding saturates.
  public var greatestFinite: Float { table[Int(greatestFiniteCode)] }

  init(_ name: String, exponentBits: Int, mantissaBits: Int, bias: Int, specials: Specials) {
    self.name = name
    bitWidth = 1 + exponentBits + mantissaBits
    self.exponentBits = exponentBits
    self.mantissaBits = mantissaBits
    self.bias = bias
    self.specials = specials
    let magnitudes = 1 << (exponentBits + mantissaBits)
    greatestFiniteCode =
      switch specials {
      case .none, .negativeZeroIsNaN: UInt8(magnitudes - 1)
      case .nan: UInt8(magnitudes - 2)
      case .ieee: UInt8(magnitudes - 1 - (1 << mantissaBits))
      }
    let greatest = Int(greatestFiniteCode)
    let positive = (0..<magnitudes).map { code -> Float in
      if code > greatest { return specials == .ieee && code == greatest + 1 ? .infinity : .nan }
      let field = code >> mantissaBits
      let mantissa = code & (1 << mantissaBits - 1)
      // A field of 0 is subnormal: no hidden one, and the exponent of field 1.
      let significand = field == 0 ? mantissa : mantissa + 1 << mantissaBits
      return Float(sign: .plus, exponent: max(field, 1) - bias - mantissaBits, significand: Float(significand))
    }
    var table = positive + positive.map { -$0 }
    if specials == .negativeZeroIsNaN { table[magnitudes] = .nan }
    self.table = table
  }

  /// The value of `code`; bits above the format's width are ignored.
  public func decode(_ code: UInt8) -> Float { table[Int(code) & (1 << bitWidth - 1)] }

  /// The code next to `value`, ties to the even code.
  ///
  /// Greater magnitudes become the greatest finite one, and so does infinity where the format has none. A NaN becomes
  /// the format's NaN; where there is none it becomes the greatest finite value, as in CUDA's `cvt.satfinite`.
  public func encode(_ value: Float) -> UInt8 {
    let signBit: UInt8 = value.sign == .minus ? 1 << (bitWidth - 1) : 0
    if value.isNaN {
      switch specials {
      case .none: return greatestFiniteCode
      case .negativeZeroIsNaN: return 1 << (bitWidth - 1)
      case .nan, .ieee: return signBit | (1 << (bitWidth - 1) - 1)
      }
    }
    if specials == .ieee && value.isInfinite { return signBit | (greatestFiniteCode + 1) }
    let magnitude = min(value.magnitude, greatestFinite)
    // Values below the least normal one share its spacing. (The exponent of 0 is far below it, too.)
    let leastNormal = 1 - bias
    let exponent = max(Int(magnitude.exponent), leastNormal)
    // The distance of neighbouring codes is 2^(exponent − mantissaBits): count in that unit. The count carries into
    // the exponent field by itself when it rounds up to the next power of two.
    let unit = Float(bitPattern: UInt32(127 - exponent + mantissaBits) << 23)
    let steps = Int((magnitude * unit).rounded(.toNearestOrEven))
    let code = UInt8((exponent - leastNormal) << mantissaBits + steps)
    return code == 0 && specials == .negativeZeroIsNaN ? 0 : signBit | code
  }
}

extension MiniFloat {
  /// 1-4-3, bias 7, greatest 448, NaN 0x7F and 0xFF.
  public static let e4m3fn = MiniFloat("e4m3fn", exponentBits: 4, mantissaBits: 3, bias: 7, specials: .nan)
  /// 1-4-3, bias 8, greatest 240, NaN 0x80. (Quantisers clamp at 224: that is theirs to do.)
  public static let e4m3fnuz = MiniFloat(
    "e4m3fnuz", exponentBits: 4, mantissaBits: 3, bias: 8, specials: .negativeZeroIsNaN)
  /// 1-5-2, bias 15, greatest finite 57,344, infinities and NaNs.
  public static let e5m2 = MiniFloat("e5m2", exponentBits: 5, mantissaBits: 2, bias: 15, specials: .ieee)
  /// 1-5-2, bias 16, greatest 57,344, NaN 0x80.
  public static let e5m2fnuz = MiniFloat(
    "e5m2fnuz", exponentBits: 5, mantissaBits: 2, bias: 16, specials: .negativeZeroIsNaN)
  /// 1-2-1, bias 1, greatest 6.
  public static let e2m1 = MiniFloat("e2m1", exponentBits: 2, mantissaBits: 1, bias: 1, specials: .none)
  /// 1-2-3, bias 1, greatest 7.5.
  public static let e2m3 = MiniFloat("e2m3", exponentBits: 2, mantissaBits: 3, bias: 1, specials: .none)
  /// 1-3-2, bias 3, greatest 28.
  public static let e3m2 = MiniFloat("e3m2", exponentBits: 3, mantissaBits: 2, bias: 3, specials: .none)

  /// All formats of this kind.
  public static let all = [e4m3fn, e4m3fnuz, e5m2, e5m2fnuz, e2m1, e2m3, e3m2]
}

extension ElementType {
  /// The description of a small float type; nil for the other types.
  public var miniFloat: MiniFloat? {
    switch self {
    case .f8e4m3: .e4m3fn
    case .f8e4m3fnuz: .e4m3fnuz
    case .f8e5m2: .e5m2
    case .f8e5m2fnuz: .e5m2fnuz
    case .f6e2m3: .e2m3
    case .f6e3m2: .e3m2
    case .f4: .e2m1
    default: nil
    }
  }
}
