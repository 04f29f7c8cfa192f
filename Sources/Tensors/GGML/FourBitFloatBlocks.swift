// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// e2m1 codes with one small scale per 32 or 16 elements.

/// 2^(e − 127) · e2m1. Bytes: e, 16 × two codes.
///
/// Code 255 of the scale is 2^128 here and not NaN, as in ggml: a check of values finds it.
enum MXFP4: BlockFormat {
  static let (name, elements, bytes) = ("MXFP4", 32, 17)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    // Half the scale times twice the value, so that neither leaves the range: 0x0020_0000 is 2^−128.
    let code = UInt32(block[0])
    let halfScale = Float(bitPattern: code < 2 ? 0x0020_0000 << code : (code - 1) << 23)
    block.forEachNibble(at: 1, count: 16) { values[$0] = halfScale * doubled($1) }
  }
}

/// Sub-blocks of 16: e4m3 · e2m1. Bytes: 4 × a scale, 4 × (8 × two codes). The scale of the tensor, if there is one, is
/// another tensor.
///
/// The sign of a scale is ignored; code 0x7F is 0, and 0xFF is 480, as in ggml.
enum NVFP4: BlockFormat {
  static let (name, elements, bytes) = ("NVFP4", 64, 36)

  static func decode(_ block: BlockBytes, _ values: BlockFloats) {
    for part in 0..<4 {
      let halfScale = halfScale(block[part])
      block.forEachNibble(at: 4 + 8 * part, count: 8) { values[16 * part + $0] = halfScale * doubled($1) }
    }
  }

  @inline(__always)
  private static func halfScale(_ code: UInt8) -> Float {
    if code == 0x7F { return 0 }
    let exponent = UInt32(code >> 3 & 15)
    let mantissa = UInt32(code & 7)
    // 2^−10 is half the unit of the subnormal codes; else the fields move to those of a float, one exponent down.
    return exponent == 0
      ? Float(mantissa) * 0x1p-10 : Float(bitPattern: (exponent + 127 - 7 - 1) << 23 | mantissa << 20)
  }
}

/// Twice the value of an e2m1 code, with 0 for −0.
@inline(__always)
private func doubled(_ code: UInt8) -> Float {
  // 0 1 2 3 4 6 8 12, one per byte, the first in the lowest.
  let magnitude = Int8(truncatingIfNeeded: (0x0C08_0604_0302_0100 as UInt64) >> (8 * UInt64(code & 7)))
  return Float(code < 8 ? magnitude : -magnitude)
}
