// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc
internal import MoE

/// How uneven the experts of a layer are chosen.
public struct LoadStatistics: Sendable, Hashable {
  /// The layer's number in the model.
  public let layer: Int
  /// Of all steps.
  public let total: Double
  /// The greatest load of an expert over the mean, 1 where all are even.
  public let imbalance: Double
  /// −Σ p log p over log(experts): 1 where all are even, 0 where one expert has everything.
  public let entropy: Double
  /// ½ Σ |p − p′| between the loads of two windows in succession, in the mean: the share of tokens that go elsewhere.
  /// nil for a trace of one window.
  public let drift: Double?
  /// Experts without a token.
  public let idleCount: Int
  /// The expert with the greatest load.
  public let busiest: Int
}

extension LoadTrace {
  /// Of each layer.
  ///
  /// - Parameter window: steps that are compared with the next as many, for the drift. Few tokens drift by chance.
  public func statistics(window: Int) -> [LoadStatistics] {
    let (totals, windows) = (totals, windows(of: window))
    return layers.indices.map { layer in
      let loads = totals[layer]
      let total = loads.reduce(0, +)
      let shares = loads.shares
      let drifts = zip(windows, windows.dropFirst()).map { before, after in
        zip(before[layer].shares, after[layer].shares).reduce(0) { $0 + abs($1.0 - $1.1) } / 2
      }
      let entropy = -shares.reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) }
      return LoadStatistics(
        layer: layers[layer], total: total, imbalance: Picture.imbalance(loads),
        entropy: expertCount > 1 && total > 0 ? entropy / log(Double(expertCount)) : 1,
        drift: drifts.isEmpty ? nil : drifts.reduce(0, +) / Double(drifts.count),
        idleCount: loads.count { $0 == 0 }, busiest: loads.firstIndex(of: loads.max()!)!)
    }
  }
}

extension [Double] {
  /// Each over the sum; zeros where that is 0.
  var shares: [Double] {
    let sum = reduce(0, +)
    return sum > 0 ? map { $0 / sum } : map { _ in 0 }
  }
}
