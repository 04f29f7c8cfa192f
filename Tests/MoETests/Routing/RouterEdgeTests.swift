// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Rows that have no clear winner: ties, NaN, infinity, padding, sums of zero.
@Suite struct RouterEdgeTests {
  private func route(
    _ recipe: TopKRecipe, _ logits: [Float], tokens: Int = 1, topK: Int = 2, bias: [Float]? = nil,
    isPadding: [Bool]? = nil
  ) throws -> Routing {
    try TopKRouter(expertCount: logits.count / tokens, topK: topK, recipe: recipe, correctionBias: bias)
      .route(RouterInput(logits: logits, tokenCount: tokens, isPadding: isPadding))
  }

  @Test(arguments: Scoring.allCases) func tiesGoToTheLowestID(scoring: Scoring) throws {
    let recipe = TopKRecipe(scoring: scoring)
    #expect(try route(recipe, [1, 1, 1, 1, 1, 1], topK: 3).ids == [0, 1, 2])
    #expect(try route(recipe, [0, 2, 2, 1, 2, 0], topK: 4).ids == [1, 2, 4, 3])
    let groups = ExpertGroups(count: 3, kept: 2, score: .topTwoSum)
    #expect(try route(TopKRecipe(scoring: scoring, groups: groups), [1, 1, 1, 1, 1, 1], topK: 3).ids == [0, 1, 2])
  }

  /// In 32 bits the sigmoid of 20 is 1: what was a difference of logits is none of scores.
  @Test func saturatedSigmoids() throws {
    let logits: [Float] = [0, 30, 20, 40]
    #expect(try route(TopKRecipe(scoring: .sigmoid), logits).ids == [1, 2])
    #expect(try route(TopKRecipe(scoring: .sigmoid, ranksLogits: true), logits).ids == [3, 1])
  }

  @Test(arguments: [Scoring.softmax, .sigmoid, .sqrtSoftplus], [Float.nan, .infinity])
  func aRowOfNothingFinite(scoring: Scoring, value: Float) throws {
    let row = [Float](repeating: value, count: 8)
    let expected: [Float] = scoring == .sigmoid && value == .infinity ? [1, 1, 1] : [0, 0, 0]
    let plain = try route(TopKRecipe(scoring: scoring), row, topK: 3)
    #expect(plain.ids == [0, 1, 2])
    #expect(plain.weights == expected)
    // The sum of nothing divides by 1.
    for normalization in [Normalization.sum(epsilon: 0), .clampedSum(minimum: 0), .pNorm(2)] where expected[0] == 0 {
      #expect(try route(TopKRecipe(scoring: scoring, normalization: normalization), row).weights == [0, 0])
    }
  }

  @Test(arguments: [Scoring.softmax, .sigmoid, .sqrtSoftplus], [ExpertGroups.Score.maximum, .topTwoSum])
  func aGroupedRowOfNothingFinite(scoring: Scoring, score: ExpertGroups.Score) throws {
    let recipe = TopKRecipe(
      scoring: scoring, groups: ExpertGroups(count: 4, kept: 2, score: score), normalization: .sum(epsilon: 1e-20),
      scale: 2.5)
    let bias: [Float] = [0, 0, 0, 0, 0, 0, 0, 9]
    let routing = try route(recipe, Array(repeating: .nan, count: 8), topK: 4, bias: bias)
    #expect(routing.ids == [0, 1, 2, 3])
    #expect(routing.weights == [0.25, 0.25, 0.25, 0.25])
  }

  @Test func oneNaNAmongSigmoids() throws {
    let logits: [Float] = [0, .nan, 1, -1]
    #expect(try route(TopKRecipe(scoring: .sigmoid), logits, topK: 4).ids == [2, 0, 3, 1])
    #expect(try route(TopKRecipe(scoring: .sigmoid), logits, topK: 4).weights[3] == 0)
    // One bad logit spoils a softmax.
    let softmax = try route(TopKRecipe(scoring: .softmax), logits)
    #expect(softmax.ids == [0, 1] && softmax.weights == [0, 0])
    let chosen = try route(TopKRecipe(scoring: .selectedSoftmax), logits, topK: 3)
    #expect(chosen.ids == [2, 0, 3] && chosen.weights.allSatisfy { $0 > 0 })
    // A group of which too little is finite is not kept.
    let groups = ExpertGroups(count: 2, kept: 1, score: .topTwoSum)
    #expect(try route(TopKRecipe(scoring: .sigmoid, groups: groups), [9, .nan, 1, -1]).ids == [2, 3])
  }

  @Test func minusInfinityIsNeverChosenFirst() throws {
    let logits: [Float] = [-.infinity, 0, -.infinity, -5]
    for scoring in Scoring.allCases {
      let routing = try route(TopKRecipe(scoring: scoring), logits, topK: 3)
      #expect(routing.ids == [1, 3, 0] && routing.weights[2] == 0 && routing.weights[0] > 0, "\(scoring)")
    }
  }

  /// DeepSeek-V2 masks with 0, and a kept group may hold zeros itself.
  @Test func droppedExpertsWeighNothing() throws {
    let recipe = TopKRecipe(
      scoring: .softmax, groups: ExpertGroups(count: 2, kept: 1, score: .maximum, maskValue: 0))
    let routing = try route(recipe, [1, 0, 200, -200])
    #expect(routing.ids == [2, 0] && routing.weights == [1, 0])
  }

  @Test func paddingRowsAreSkipped() throws {
    let logits: [Float] = [1, 2, 3, .nan, .nan, .nan, 3, 2, 1]
    let routing = try route(
      TopKRecipe(scoring: .softmax), logits, tokens: 3, isPadding: [false, true, false])
    #expect(routing.ids == [2, 1, -1, -1, 0, 1])
    #expect(routing.weights[2] == 0 && routing.weights[3] == 0 && routing.weights[4] > 0.6)
    let mixer = try SparseMixerRouter(expertCount: 3)
    #expect(
      try mixer.route(RouterInput(logits: logits, tokenCount: 3, isPadding: [true, true, true])).ids
        == Array(repeating: -1, count: 6))
  }

  @Test func epsilons() throws {
    // Both sigmoids are 2e-9: a sum of 4e-9 that 1e-6 swallows, 1e-20 does not touch and a minimum replaces.
    let logits: [Float] = [-20.03, -20.03]
    let small = 1 / (1 + Double(20.03).exponential)
    let cases: [(Normalization, Double)] = [
      (.sum(epsilon: 0), 0.5), (.sum(epsilon: 1e-20), 0.5), (.sum(epsilon: 1e-6), small / (2 * small + 1e-6)),
      (.clampedSum(minimum: 1e-12), 0.5), (.clampedSum(minimum: 1e-3), small / 1e-3), (.pNorm(1), 0.5),
      (.pNorm(2), 0.5.squareRoot()),
    ]
    for (normalization, expected) in cases {
      let routing = try route(TopKRecipe(scoring: .sigmoid, normalization: normalization), logits)
      #expect(abs(Double(routing.weights[0]) / expected - 1) < 1e-5, "\(normalization)")
    }
  }

  @Test func noTokens() throws {
    let router = try TopKRouter(expertCount: 4, topK: 2, recipe: TopKRecipe(scoring: .softmax))
    let routing = try router.route(RouterInput(logits: [], tokenCount: 0))
    #expect(routing.tokenCount == 0 && routing.ids.isEmpty)
  }
}
