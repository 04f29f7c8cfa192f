// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

// The scale makes the element of the greatest magnitude the lowest code (−8 of 16, −16 of 32), which has one more than
// the highest: so d is negative for a positive extreme. Codes come from the scale before it is rounded to 16 bits.

extension Q4_0: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let (scale, codes) = aroundMiddle(values.vector(0), 8)
    block.setHalf(0, scale)
    block.setNibbles(2, codes)
  }
}

extension Q4_1: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let (scale, minimum, codes) = fromMinimum(values.vector(0), 15)
    block.setHalf(0, scale)
    block.setHalf(2, minimum)
    block.setNibbles(4, codes)
  }
}

extension Q5_0: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let (scale, codes) = aroundMiddle(values.vector(0), 16)
    block.setHalf(0, scale)
    block.setBits(2, of: codes, bit: 4)
    block.setNibbles(6, codes)
  }
}

extension Q5_1: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let (scale, minimum, codes) = fromMinimum(values.vector(0), 31)
    block.setHalf(0, scale)
    block.setHalf(2, minimum)
    block.setBits(4, of: codes, bit: 4)
    block.setNibbles(8, codes)
  }
}

extension Q8_0: EncodableBlockFormat {
  static func encode(_ values: BlockValues, _ block: BlockTarget) {
    let vector = values.vector(0)
    let scale = vector.extreme().magnitude / 127
    block.setHalf(0, scale)
    block.set(2, (vector * inverse(scale)).nearestAwayFromZero.codes)
  }
}

/// x ≈ scale · (code − middle).
@inline(__always)
private func aroundMiddle(_ values: Vector32, _ middle: Float) -> (scale: Float, codes: SIMD32<UInt8>) {
  let scale = values.extreme() / -middle
  return (scale, (values * inverse(scale) + (middle + 0.5)).clamped(0, 2 * middle - 1).wholePart.codes)
}

/// x ≈ scale · code + minimum.
@inline(__always)
private func fromMinimum(
  _ values: Vector32, _ greatest: Float
) -> (scale: Float, minimum: Float, codes: SIMD32<UInt8>) {
  let minimum = values.min()
  let scale = (values.max() - minimum) / greatest
  return (scale, minimum, ((values - minimum) * inverse(scale) + 0.5).clamped(0, greatest).wholePart.codes)
}

/// 1 / scale, and 0 of 0.
@inline(__always)
func inverse(_ scale: Float) -> Float { scale == 0 ? 0 : 1 / scale }
