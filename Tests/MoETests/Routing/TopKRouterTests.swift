// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Every combination of a recipe on random logits, against an implementation of its own.
@Suite struct TopKRouterTests {
  static let experts = 16
  static let normalizations: [Normalization] = [
    .none, .sum(epsilon: 0), .sum(epsilon: 1e-20), .sum(epsilon: 1e-6), .clampedSum(minimum: 1e-12),
    .clampedSum(minimum: 0.9), .pNorm(1), .pNorm(2), .pNorm(3),
  ]
  static let groups: [ExpertGroups?] = [
    nil, ExpertGroups(count: 4, kept: 2, score: .topTwoSum), ExpertGroups(count: 4, kept: 2, score: .maximum),
    ExpertGroups(count: 4, kept: 2, score: .maximum, maskValue: 0),
    ExpertGroups(count: 4, kept: 2, score: .topTwoSum, maskValue: 0), ExpertGroups(count: 8, kept: 3, score: .maximum),
    ExpertGroups(count: 1, kept: 1, score: .topTwoSum),
  ]

  @Test(arguments: Scoring.allCases, normalizations)
  func recipe(scoring: Scoring, normalization: Normalization) throws {
    var seed: UInt64 = 7
    for groups in Self.groups {
      // Logits compete with a mask of 0 in no model.
      if scoring == .selectedSoftmax && groups?.maskValue == 0 { continue }
      for (hasBias, topK) in [(false, 1), (false, 5), (true, 1), (true, 6)] {
        seed += 1
        let recipe = TopKRecipe(scoring: scoring, groups: groups, normalization: normalization, scale: 2.5)
        try check(
          recipe, topK: topK, bias: hasBias ? randomValues(Self.experts, seed: seed, deviation: 0.3) : nil, seed)
      }
    }
  }

  @Test(arguments: [Scoring.softmax, .sigmoid], [true, false])
  func options(scoring: Scoring, ranksLogits: Bool) throws {
    let recipe = TopKRecipe(
      scoring: scoring, ranksLogits: ranksLogits, softCap: 1.5, normalization: .sum(epsilon: 0), scale: 0.5)
    let scale = randomValues(Self.experts, seed: 3)
    try check(recipe, topK: 4, bias: randomValues(Self.experts, seed: 4, deviation: 0.2), perExpertScale: scale, 5)
  }

  private func check(
    _ recipe: TopKRecipe, topK: Int, bias: [Float]?, perExpertScale: [Float]? = nil, _ seed: UInt64
  ) throws {
    let tokens = 9
    let logits = randomValues(tokens * Self.experts, seed: seed, deviation: 2)
    let router = try TopKRouter(
      expertCount: Self.experts, topK: topK, recipe: recipe, correctionBias: bias, perExpertScale: perExpertScale)
    let found = try router.route(RouterInput(logits: logits, tokenCount: tokens))
    #expect(found.tokenCount == tokens && found.topK == topK)
    for token in 0..<tokens {
      let row = Array(logits[token * Self.experts..<(token + 1) * Self.experts])
      let expected = ExpectedRouting(row, recipe, topK: topK, bias: bias, perExpertScale: perExpertScale)
      let slots = found.slots(of: token)
      #expect(found.ids[slots].map { Int($0) } == expected.ids, "\(recipe) token \(token)")
      for (weight, expected) in zip(found.weights[slots], expected.weights) {
        #expect(abs(Double(weight) - expected) <= 2e-6 + 1e-5 * abs(expected), "\(recipe) token \(token)")
      }
    }
  }

  @Test func softmaxOfTheChosenIsSoftmaxRenormalised() throws {
    let logits = randomValues(20 * Self.experts, seed: 2, deviation: 3)
    let input = RouterInput(logits: logits, tokenCount: 20)
    let chosen = try route(TopKRecipe(scoring: .selectedSoftmax), input)
    let renormalised = try route(TopKRecipe(scoring: .softmax, normalization: .sum(epsilon: 0)), input)
    #expect(chosen.ids == renormalised.ids)
    expectClose(chosen.weights, renormalised.weights, bound: 1e-6)
    for token in 0..<20 {
      #expect(abs(chosen.weights[chosen.slots(of: token)].reduce(0, +) - 1) < 1e-6)
    }
  }

  private func route(_ recipe: TopKRecipe, _ input: RouterInput) throws -> Routing {
    try TopKRouter(expertCount: Self.experts, topK: 4, recipe: recipe).route(input)
  }

  /// Numbers small enough to follow by hand.
  @Test func byHand() throws {
    // Sigmoids of ln 3, 0, −ln 3, ln 7: 3/4, 1/2, 1/4, 7/8.
    let logits: [Float] = [1.098612289, 0, -1.098612289, 1.945910149]
    let bias: [Float] = [0, 0.3, 0.7, -0.5]  // Ranks 0.75, 0.8, 0.95, 0.375.
    let router = try TopKRouter(
      expertCount: 4, topK: 2, recipe: TopKRecipe(scoring: .sigmoid, normalization: .sum(epsilon: 1e-20), scale: 3),
      correctionBias: bias)
    let routing = try router.route(RouterInput(logits: logits, tokenCount: 1))
    #expect(routing.ids == [2, 1])
    expectClose(routing.weights, [1, 2], bound: 1e-6)  // 3 · ¼ / ¾ and 3 · ½ / ¾

    // Two groups of two, one stays: sums of ranks 1.55 and 1.325; maxima 0.8 and 0.95.
    for (score, ids) in [(ExpertGroups.Score.topTwoSum, [1, 0] as [Int32]), (.maximum, [2, 3])] {
      let grouped = try TopKRouter(
        expertCount: 4, topK: 2,
        recipe: TopKRecipe(scoring: .sigmoid, groups: ExpertGroups(count: 2, kept: 1, score: score)),
        correctionBias: bias)
      #expect(try grouped.route(RouterInput(logits: logits, tokenCount: 1)).ids == ids)
    }
  }
}
