// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// How the scale of a group follows from the greatest magnitude in it, and how it is stored.
struct ScaleRule {
  /// The magnitude that the greatest weight is scaled to.
  var limit: Float
  /// The least magnitude that is scaled to it.
  var floor: Float
  /// The element type of the scales.
  var type: ElementType

  /// The stored scale: a positive number. Groups of zeros without a floor have the scale 1.
  ///
  /// - Throws: `.invalidValue` for one that the type doesn't hold.
  func scale(_ greatest: Float) throws(MoEError) -> Float {
    let exact = max(greatest, floor) / limit
    guard exact > 0 || greatest > 0 else { return 1 }
    return try stored(max(exact, .leastNormalMagnitude))
  }

  /// What a scale becomes in its type; e8m0 rounds up, so that nothing saturates.
  func stored(_ scale: Float) throws(MoEError) -> Float {
    let stored: Float
    switch type {
    case .f32: stored = scale
    case .f16: stored = max(Float(Float16(scale)), Float(Float16.leastNonzeroMagnitude))
    case .bf16: stored = BFloat16.decode(BFloat16.encode(scale))
    case .f8e8m0, .u8: stored = E8M0.decode(E8M0.encode(scale, rounding: .up))
    default: preconditionFailure("scales of \(type) are not written")
    }
    guard stored.isFinite else {
      throw MoEError(
        .invalidValue, "a scale is beyond what \(type) holds", expected: "weights of a lesser magnitude",
        found: "a scale of \(scale)")
    }
    return stored
  }

  /// The scale, and where it has all bits its neighbours and the power of two above it: for weights that are products of
  /// a code and a scale, whether that was rounded to a power of two or not, one of them is that scale.
  func neighbours(_ scale: Float) -> [Float] {
    guard type == .f32 else { return [scale] }
    return [scale, scale.nextDown, scale.nextUp, E8M0.decode(E8M0.encode(scale, rounding: .up))]
  }

  /// The bytes of scales that have been rounded.
  func bytes(_ scales: [Float]) -> [UInt8] {
    type == .u8 ? scales.map { E8M0.encode($0) } : type.encode(scales)
  }
}
