// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The type of a stored element; the raw value is its name in a safetensors header.
///
/// Widths are in bits because the 4- and 6-bit types fill no whole byte:
///
/// ```swift
/// ElementType.f6e2m3.byteCount(of: 32)  // 24
/// ElementType.f4.byteCount(of: 3)       // nil: 12 bits are no whole number of bytes
/// ```
public enum ElementType: String, Sendable, Hashable, CaseIterable {
  case f64 = "F64"
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  /// 1-4-3 bits, bias 7, no infinity, largest 448 (OCP FP8, "fn").
  case f8e4m3 = "F8_E4M3"
  /// 1-5-2 bits, bias 15, with infinities (OCP FP8).
  case f8e5m2 = "F8_E5M2"
  /// As `f8e4m3` with bias 8; the only NaN is 0x80.
  case f8e4m3fnuz = "F8_E4M3FNUZ"
  /// As `f8e5m2` with bias 16; the only NaN is 0x80.
  case f8e5m2fnuz = "F8_E5M2FNUZ"
  /// A power of two, 2^(b − 127); 255 is NaN (OCP MX scale).
  case f8e8m0 = "F8_E8M0"
  case f6e2m3 = "F6_E2M3"
  case f6e3m2 = "F6_E3M2"
  /// 1-2-1 bits: 0, ½, 1, 1½, 2, 3, 4, 6 and their negatives (OCP FP4 E2M1).
  case f4 = "F4"
  case i64 = "I64"
  case u64 = "U64"
  case i32 = "I32"
  case u32 = "U32"
  case i16 = "I16"
  case u16 = "U16"
  case i8 = "I8"
  case u8 = "U8"
  case bool = "BOOL"
  /// A complex number of two 32-bit floats.
  case c64 = "C64"

  /// Bits of one element.
  public var bitWidth: Int {
    switch self {
    case .f64, .i64, .u64, .c64: 64
    case .f32, .i32, .u32: 32
    case .f16, .bf16, .i16, .u16: 16
    case .f8e4m3, .f8e5m2, .f8e4m3fnuz, .f8e5m2fnuz, .f8e8m0, .i8, .u8, .bool: 8
    case .f6e2m3, .f6e3m2: 6
    case .f4: 4
    }
  }

  /// Bytes of `count` elements laid end to end, or nil when they overflow `Int` or fill no whole byte.
  public func byteCount(of count: Int) -> Int? {
    let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
    return overflow || bits < 0 || bits % 8 != 0 ? nil : bits / 8
  }
}

extension ElementType: CustomStringConvertible {
  public var description: String { rawValue }
}
