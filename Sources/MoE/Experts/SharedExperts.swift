// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// The experts of a layer that every token visits: one dense expert, with or without a gate.
public struct SharedExperts<B: Backend>: Sendable {
  let experts: RoutedExperts<B>
  let gate: B.Linear?
  /// How the output joins the routed one.
  public let combination: SharedCombination

  public init(_ experts: RoutedExperts<B>, gate: B.Linear? = nil, combination: SharedCombination = .sum) {
    self.experts = experts
    self.gate = gate
    self.combination = combination
  }

  /// The raw output, before the gate: `[tokens, H]` from `[tokens, H]`.
  public func forward(_ hidden: [Float], tokenCount: Int) throws(MoEError) -> [Float] {
    guard tokenCount >= 0 else {
      throw MoEError(.invalidArgument, "the number of tokens is negative", found: "\(tokenCount)")
    }
    let everyToken = try Routing(
      topK: 1, ids: Array(repeating: 0, count: tokenCount), weights: Array(repeating: 1, count: tokenCount))
    return try experts.forward(hidden, routing: everyToken).routed
  }

  /// What a token's shared output is multiplied by, `[tokens]`: sigmoid of the gate, or 1.
  func mixingWeights(_ hidden: [Float], tokenCount: Int) throws(MoEError) -> [Float] {
    guard let gate else { return Array(repeating: 1, count: tokenCount) }
    return try experts.backend.apply(gate, to: hidden, tokenCount: tokenCount).map { 1 / (1 + exp(-$0)) }
  }

  /// Adds `shared` to `routed`, in place.
  func combine(
    _ shared: [Float], into routed: inout [Float], hidden: [Float], tokenCount: Int
  ) throws(MoEError) {
    let width = experts.specification.hiddenSize
    let weights = try mixingWeights(hidden, tokenCount: tokenCount)
    for token in 0..<tokenCount {
      let weight = weights[token]
      for index in token * width..<(token + 1) * width {
        switch combination {
        case .sum: routed[index] += weight * shared[index]
        case .average: routed[index] = (routed[index] + weight * shared[index]) / 2
        case .interpolate: routed[index] = routed[index] * (1 - weight) + weight * shared[index]
        }
      }
    }
  }
}
