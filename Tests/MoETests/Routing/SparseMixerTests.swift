// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import Testing

/// Phi-3.5-MoE's router against the formula of its modelling code, and numbers by hand.
@Suite struct SparseMixerTests {
  /// One row: m₁ and the experts near it, then the same without the winner.
  private func expected(_ scores: [Double], jitter: Double) -> (ids: [Int], weights: [Double]) {
    func near(_ score: Double, _ maximum: Double) -> Bool {
      !((maximum - score) / max(abs(score), maximum) > 2 * jitter)
    }
    let first = scores.indices.max { (scores[$0], -$0) < (scores[$1], -$1) }!
    let around = scores.indices.filter { near(scores[$0], scores[first]) }
    let rest = scores.indices.filter { $0 != first }
    let second = rest.max { (scores[$0], -$0) < (scores[$1], -$1) }!
    let aroundSecond = rest.filter { near(scores[$0], scores[second]) }
    func weight(_ id: Int, among ids: [Int]) -> Double {
      1 / ids.reduce(0) { $0 + exp(scores[$1] - scores[id]) }
    }
    return ([first, second], [weight(first, among: around), weight(second, among: aroundSecond)])
  }

  @Test(arguments: [Float(0), 0.01, 0.1, 0.5])
  func formula(jitter: Float) throws {
    let (experts, tokens) = (8, 40)
    // Close together, so that the neighbourhoods hold more than their maximum; some rows are negative throughout.
    let logits = randomValues(experts * tokens, seed: 8, deviation: 0.2).enumerated().map { index, value in
      value + (index / experts % 3 == 0 ? -1 : 1)
    }
    let routing = try SparseMixerRouter(expertCount: experts, jitter: jitter)
      .route(RouterInput(logits: logits, tokenCount: tokens))
    for token in 0..<tokens {
      let row = logits[token * experts..<(token + 1) * experts].map(Double.init)
      let expected = expected(row, jitter: Double(jitter))
      #expect(routing.ids[routing.slots(of: token)].map { Int($0) } == expected.ids)
      for (found, expected) in zip(routing.weights[routing.slots(of: token)], expected.weights) {
        #expect(abs(Double(found) - expected) < 1e-5, "token \(token)")
      }
    }
  }

  @Test func byHand() throws {
    // Nothing is near the first maximum, so its weight is 1; 0.99 and 1 are near each other: ½ each, nearly.
    let routing = try SparseMixerRouter(expertCount: 4, jitter: 0.01)
      .route(RouterInput(logits: [0.99, 1, -3, 5], tokenCount: 1))
    #expect(routing.ids == [3, 1])
    expectClose(routing.weights, [1, Float(1 / (1 + exp(-0.01)))], bound: 1e-6)
  }

  /// 0 / 0 counts as near: all four experts share the first softmax, three the second.
  @Test func aRowOfZeros() throws {
    let routing = try SparseMixerRouter(expertCount: 4).route(RouterInput(logits: [0, 0, 0, 0], tokenCount: 1))
    #expect(routing.ids == [0, 1])
    expectClose(routing.weights, [0.25, 1 / 3], bound: 1e-6)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity]) func notFinite(value: Float) throws {
    let routing = try SparseMixerRouter(expertCount: 3)
      .route(RouterInput(logits: [value, value, value], tokenCount: 1))
    #expect(routing.ids == [0, 1] && routing.weights == [0, 0])
  }

  @Test func refusals() {
    expectFaults([.configuration]) { _ = try SparseMixerRouter(expertCount: 1) }
    expectFaults([.configuration]) { _ = try SparseMixerRouter(expertCount: 4, jitter: -0.1) }
    expectFaults([.configuration]) { _ = try SparseMixerRouter(expertCount: 4, jitter: .nan) }
  }
}
