// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// Whole numbers with a scale, and perhaps a zero point, for each group: q = round(x / scale) + zero point.
struct IntegerEncoder {
  let granularity: Granularity
  /// What a code can be.
  let codes: ClosedRange<Int>
  /// The zero points that can be stored; nil for symmetric codes, whose zero is 0 or the middle of the range.
  var zeroPoints: ClosedRange<Int>?
  /// The zero of symmetric codes.
  var middle = 0
  /// For symmetric codes, what the greatest magnitude is divided by.
  var rule: ScaleRule

  struct Encoded {
    /// One for each weight, in the lowest bits.
    var codes: [UInt8]
    var scales: [Float]
    var zeroPoints: [Int]
  }

  func encode(_ weights: WeightMatrix) throws(MoEError) -> Encoded {
    let groups = weights.groups(granularity)
    var encoded = Encoded(codes: [UInt8](repeating: 0, count: weights.values.count), scales: [], zeroPoints: [])
    encoded.scales.reserveCapacity(groups.count)
    encoded.zeroPoints.reserveCapacity(groups.count)
    for group in groups {
      let (least, greatest) = weights.extremes(group)
      var found = exact(weights, group, least, greatest)
      if found == nil { found = try fit(least, greatest) }
      let (scale, zero) = found!
      encoded.scales.append(scale)
      encoded.zeroPoints.append(zero)
      fill(&encoded.codes, weights, group, scale, zero)
    }
    return encoded
  }

  /// The format's own rule.
  private func fit(_ least: Float, _ greatest: Float) throws(MoEError) -> (scale: Float, zero: Int) {
    guard let zeroPoints else { return (try rule.scale(max(-least, greatest)), middle) }
    var steps = Float(codes.count - 1)
    // Where the lowest zero point is above the lowest code, a group without negative weights has a step less.
    if least == 0 { steps -= Float(zeroPoints.lowerBound - codes.lowerBound) }
    let range = greatest / steps - least / steps
    let scale = range > 0 ? try rule.stored(range) : 1
    let zero = codes.lowerBound - Int((least / scale).rounded(.toNearestOrEven).clamped(to: codes))
    return (scale, min(max(zero, zeroPoints.lowerBound), zeroPoints.upperBound))
  }

  /// The scale of weights that are already codes: the range of the weights is a whole number of scales, seldom much
  /// below that of the codes.
  private func exact(
    _ weights: WeightMatrix, _ group: WeightGroup, _ least: Float, _ greatest: Float
  ) -> (scale: Float, zero: Int)? {
    let magnitude = max(-least, greatest)
    guard magnitude > 0 else { return nil }
    let extent = zeroPoints == nil ? magnitude : greatest - least
    guard extent.isFinite else { return nil }
    let most = zeroPoints == nil ? codes.upperBound + 1 - middle : codes.count - 1
    // Of few codes the greatest may be unused, of many it hardly is.
    let fewest = max(0, most - (codes.count <= 16 ? 16 : 4))
    for steps in stride(from: most, to: fewest, by: -1) {
      guard let scale = try? rule.stored(max(extent / Float(steps), .leastNormalMagnitude)) else { break }
      for scale in rule.neighbours(scale) {
        guard let zero = zero(least / scale, greatest / scale),
          weights.allSatisfy(group, { ($0 / scale).rounded() * scale == $0 })
        else { continue }
        return (scale, zero)
      }
    }
    return nil
  }

  /// The zero point that brings both quotients into the range of the codes.
  private func zero(_ least: Float, _ greatest: Float) -> Int? {
    let (lowest, highest) = (least.rounded(), greatest.rounded())
    guard highest - lowest <= Float(codes.count - 1) else { return nil }
    var zero = middle
    if let zeroPoints {
      zero = min(max(codes.lowerBound - Int(lowest), zeroPoints.lowerBound), zeroPoints.upperBound)
    }
    return codes.contains(Int(lowest) + zero) && codes.contains(Int(highest) + zero) ? zero : nil
  }

  private func fill(
    _ target: inout [UInt8], _ weights: WeightMatrix, _ group: WeightGroup, _ scale: Float, _ zero: Int
  ) {
    let (low, high) = (Float(codes.lowerBound - zero), Float(codes.upperBound - zero))
    // The sum's lowest bits are the nearest whole number, and the zero point comes on top.
    let counter: Float = 0x1.8p23
    let offset = UInt32(truncatingIfNeeded: zero)
    for index in 0..<group.count {
      let run = group.run(index)
      unsafe weights.values.withUnsafeBufferPointer { values in
        unsafe target.withUnsafeMutableBufferPointer { codes in
          for index in run {
            var quotient = unsafe values[index] / scale
            quotient = quotient < low ? low : quotient
            quotient = quotient > high ? high : quotient
            unsafe codes[index] = UInt8(truncatingIfNeeded: (quotient + counter).bitPattern &+ offset)
          }
        }
      }
    }
  }
}

extension Float {
  /// Within the codes' distance of 0, so that it has an `Int`.
  fileprivate func clamped(to codes: ClosedRange<Int>) -> Float {
    min(max(self, -Float(codes.count)), Float(codes.count))
  }
}
