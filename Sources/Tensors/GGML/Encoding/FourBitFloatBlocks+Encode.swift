// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension MXFP4: EncodableBlockFormat {
  /// The exponent is that of the greatest magnitude less 2, rounded down, so that values above 6 units saturate; ties go
  /// towards zero, and 0 has no sign. (The safetensors formats round the exponent and ties in another way.)
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let vector = values.vector(0)
    let greatest = vector.extreme().magnitude
    let exponent = greatest.isFinite && greatest > 0 ? max(Int(greatest.exponent) - 2, -127) : -127
    block[0] = UInt8(exponent + 127)
    // In units of half the scale the points are 0 1 2 3 4 6 8 12, and below are the middles between them. The unit is
    // taken in two steps, because 2^128 is no float.
    let half = -exponent / 2
    let magnitude = vector.magnitude * power(half) * power(1 - exponent - half)
    let codes = magnitude.zip(vector) { magnitude, value in
      var code = SIMD8<Float>(repeating: 0)
      for middle: Float in [0.5, 1.5, 2.5, 3.5, 5, 7, 10] {
        code.replace(with: code + 1, where: magnitude .> middle)
      }
      return code.replacing(with: code + 8, where: value .< 0 .& (code .> 0))
    }
    block.setNibbles(1, codes.codes)
  }
}

private func power(_ exponent: Int) -> Float { Float(sign: .plus, exponent: exponent, significand: 1) }
