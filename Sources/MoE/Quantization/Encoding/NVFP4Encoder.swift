// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// The two levels of scales of NVFP4.
///
/// With g = 448 · 6 / the greatest magnitude of all, the scale of a block is f = e4m3(g · its greatest magnitude / 6),
/// and a weight x the e2m1 of g · x / f. g is stored as it is, or as its inverse.
struct NVFP4Encoder {
  private let weights: WeightMatrix
  private let isInverse: Bool
  private let codes = FloatEncoder(format: .e2m1, granularity: .group(16))
  /// The number that is stored beside the blocks' scales.
  private(set) var global: Float

  init(_ weights: WeightMatrix, isInverse: Bool) {
    self.weights = weights
    self.isInverse = isInverse
    let greatest = weights.greatestMagnitude(weights.groups(.tensor)[0])
    let limit = MiniFloat.e4m3fn.greatestFinite * MiniFloat.e2m1.greatestFinite
    global = Self.global(max(greatest, 1e-8), limit, isInverse)
    guard greatest > 0, let exact = exactGlobal(greatest) else { return }
    global = exact
  }

  private static func global(_ greatest: Float, _ limit: Float, _ isInverse: Bool) -> Float {
    isInverse ? limit / greatest : max(greatest / limit, .leastNormalMagnitude)
  }

  /// The number that makes every code exact, for weights that are codes already: then the greatest is six times some
  /// scale of a block, and rounding has moved it by a few units of the last place at most.
  private func exactGlobal(_ greatest: Float) -> Float? {
    for scale in MiniFloat.e4m3fn.table[1..<127].reversed() {
      let middle = Self.global(greatest, 6 * scale, isInverse)
      for trial in [middle, middle.nextDown, middle.nextUp, middle.nextDown.nextDown, middle.nextUp.nextUp] {
        if weights.groups(.group(16)).allSatisfy({ codes.isExact(weights, $0, blockScale($0, trial).value) }) {
          return trial
        }
      }
    }
    return nil
  }

  func encode() -> (codes: [UInt8], scales: [UInt8]) {
    let groups = weights.groups(.group(16))
    var target = [UInt8](repeating: 0, count: weights.values.count)
    var scales: [UInt8] = []
    scales.reserveCapacity(groups.count)
    for group in groups {
      let (code, value) = blockScale(group, global)
      scales.append(code)
      if code > 0 { codes.fill(&target, weights, group, times: 1 / value) }
    }
    return (target, scales)
  }

  /// The e4m3 code of a block's scale, and what the decoder multiplies with.
  private func blockScale(_ group: WeightGroup, _ global: Float) -> (code: UInt8, value: Float) {
    let greatest = weights.greatestMagnitude(group)
    let wanted = (isInverse ? global * greatest : greatest / global) / 6
    let code = MiniFloat.e4m3fn.encode(wanted)
    // Of the least scales some are far from what is wanted, so that six units may not be the greatest weight.
    if code > 0 && code < 8 && !codes.isExact(weights, group, decoded(code, global)) {
      for part in MiniFloat.e2m1.table[1..<7] {
        let other = MiniFloat.e4m3fn.encode(wanted * 6 / part)
        if codes.isExact(weights, group, decoded(other, global)) { return (other, decoded(other, global)) }
      }
    }
    return (code, decoded(code, global))
  }

  private func decoded(_ code: UInt8, _ global: Float) -> Float {
    let scale = MiniFloat.e4m3fn.decode(code)
    return isInverse ? scale / global : scale * global
  }
}
