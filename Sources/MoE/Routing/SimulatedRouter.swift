// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// A made-up load for benchmarks: ignores the logits and draws experts at random from a seed.
public struct SimulatedRouter: Router {
  /// How often each expert is drawn.
  public enum Distribution: Sendable, Hashable {
    /// All experts alike; the experts of a token are distinct.
    case uniform
    /// The r-th most popular expert in proportion to r^−exponent; the experts of a token are distinct.
    case zipf(exponent: Double)
    /// ⌊sigmoid(N(0, 1)) · E⌋ with weights |N(0, 1)| normalised; an expert may repeat within a token.
    case normal
  }

  public let expertCount: Int
  public let topK: Int
  public let distribution: Distribution
  public let seed: UInt64

  public init(expertCount: Int, topK: Int, distribution: Distribution, seed: UInt64) throws(MoEError) {
    try validateTopK(topK, of: expertCount)
    if case .zipf(let exponent) = distribution, !exponent.isFinite {
      throw MoEError(.configuration, "the exponent of Zipf's law must be finite", found: "\(exponent)")
    }
    self.expertCount = expertCount
    self.topK = topK
    self.distribution = distribution
    self.seed = seed
  }

  public func route(_ input: RouterInput) throws(MoEError) -> Routing {
    guard input.tokenCount >= 0, input.isPadding.map({ $0.count == input.tokenCount }) ?? true else {
      throw MoEError(
        .invalidArgument, "padding flags must be [tokens]", expected: "\(input.tokenCount) values",
        found: "\(input.isPadding?.count ?? 0)")
    }
    var routing = route(tokenCount: input.tokenCount)
    for token in 0..<input.tokenCount where input.isPadding?[token] == true {
      for slot in routing.slots(of: token) {
        routing.ids[slot] = -1
        routing.weights[slot] = 0
      }
    }
    return routing
  }

  /// The routing of a batch of a size; the same seed gives the same routing.
  ///
  /// - Precondition: `tokenCount` is not negative.
  public func route(tokenCount: Int) -> Routing {
    var generator = SplitMix64(seed: seed)
    var routing = Routing(tokenCount: tokenCount, topK: topK)
    let logPopularity = logPopularity(&generator)
    for token in 0..<tokenCount {
      let slots = routing.slots(of: token)
      if let logPopularity {
        // Gumbel's trick: the top k of log p + noise are k draws without replacement.
        let noisy = logPopularity.map { Float($0 - log(-log(generator.unitInterval()))) }
        for (slot, id) in zip(slots, topIndices(noisy, count: topK)) {
          routing.ids[slot] = Int32(id)
          routing.weights[slot] = 1 / Float(topK)
        }
      } else {
        var weights = slots.map { _ in Float(abs(generator.normal())) }
        Normalization.sum(epsilon: 0).apply(to: &weights)
        for (slot, weight) in zip(slots, weights) {
          let id = Int(Double(expertCount) / (1 + exp(-generator.normal())))
          routing.ids[slot] = Int32(min(id, expertCount - 1))
          routing.weights[slot] = weight
        }
      }
    }
    return routing
  }

  /// The logarithm of each expert's popularity, in a random order of experts; nil where experts are not drawn by it.
  private func logPopularity(_ generator: inout SplitMix64) -> [Double]? {
    switch distribution {
    case .uniform: Array(repeating: 0, count: expertCount)
    case .zipf(let exponent): (1...expertCount).map { -exponent * log(Double($0)) }.shuffled(using: &generator)
    case .normal: nil
    }
  }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): small, seedable, good
/// enough for synthetic data.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number in (0, 1).
  public mutating func unitInterval() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }

  /// A draw from N(0, 1), by Box and Muller.
  public mutating func normal() -> Double {
    let radius = (-2 * log(unitInterval())).squareRoot()
    return radius * cos(2 * .pi * unitInterval())
  }
}
