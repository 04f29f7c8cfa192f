// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// Small floats with a scale for each group: q = round(x / scale).
struct FloatEncoder {
  let format: MiniFloat
  let granularity: Granularity

  /// A code for each weight, and the scales.
  ///
  /// - Parameter scale: The scales to try for a group by its greatest magnitude, the rule's own first. Another one is
  ///   taken when it makes the codes exact.
  func encode(
    _ weights: WeightMatrix, _ scale: (Float) throws(MoEError) -> [Float]
  ) throws(MoEError) -> (codes: [UInt8], scales: [Float]) {
    let groups = weights.groups(granularity)
    var codes = [UInt8](repeating: 0, count: weights.values.count)
    var scales: [Float] = []
    scales.reserveCapacity(groups.count)
    for group in groups {
      let trials = try scale(weights.greatestMagnitude(group))
      let scale = chosen(trials, weights, group)
      scales.append(scale)
      fill(&codes, weights, group, times: 1 / scale)
    }
    return (codes, scales)
  }

  /// The first scale that makes all codes exact, else the first.
  private func chosen(_ trials: [Float], _ weights: WeightMatrix, _ group: WeightGroup) -> Float {
    guard trials.count > 1 else { return trials[0] }
    return trials.first { isExact(weights, group, $0) } ?? trials[0]
  }

  /// Whether every weight is the product of a code and the scale.
  func isExact(_ weights: WeightMatrix, _ group: WeightGroup, _ scale: Float) -> Bool {
    let inverse = scale > 0 ? 1 / scale : 0
    return weights.allSatisfy(group) { format.decode(format.encode($0 * inverse)) * scale == $0 }
  }

  /// Writes the codes of a group.
  func fill(_ codes: inout [UInt8], _ weights: WeightMatrix, _ group: WeightGroup, times multiplier: Float) {
    var codes = codes.mutableSpan
    for index in 0..<group.count {
      let run = group.run(index)
      format.encode(weights.values.span.extracting(run), times: multiplier, into: &codes, at: run.lowerBound)
    }
  }
}

extension MiniFloat {
  /// The scale of an MX block: the power of two that brings the greatest magnitude, rounded to the format's mantissa,
  /// to the format's greatest exponent. So a magnitude saturates only where it would round to more than the greatest
  /// value. (OCP MX 1.0 takes the exponent as it is.)
  func microscale(_ greatest: Float) -> Float {
    let rounded = (greatest.bitPattern &+ 0x40_0000 >> UInt32(mantissaBits)) >> 23
    let exponent = max(Int(rounded), 1) - 127 - Int(greatestFinite.exponent)
    return E8M0.decode(UInt8(min(max(exponent, -127), 127) + 127))
  }
}
