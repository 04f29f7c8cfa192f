// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// What no router can be made of, and what none takes.
@Suite struct RouterRefusalTests {
  @Test(arguments: [(0, 1), (4, 0), (4, 5), (4, -1), (-4, 1)]) func topK(experts: Int, topK: Int) {
    expectFaults([.configuration]) {
      _ = try TopKRouter(expertCount: experts, topK: topK, recipe: TopKRecipe(scoring: .softmax))
    }
  }

  @Test(arguments: [(3, 1), (0, 1), (-2, 1), (4, 0), (4, 5), (4, -1), (8, 4), (4, 1), (.max, 1)])
  func groups(count: Int, kept: Int) {
    let groups = ExpertGroups(count: count, kept: kept, score: .topTwoSum)
    expectFaults([.configuration], ["\(count) groups"]) {
      _ = try TopKRouter(expertCount: 8, topK: 3, recipe: TopKRecipe(scoring: .sigmoid, groups: groups))
    }
  }

  @Test(arguments: [[], [0, 0, 0], [0, 0, 0, 0, 0], [0, .nan, 0, 0], [0, 0, .infinity, 0]] as [[Float]])
  func vectors(values: [Float]) {
    let recipe = TopKRecipe(scoring: .sigmoid)
    expectFaults([.configuration], ["correction bias"]) {
      _ = try TopKRouter(expertCount: 4, topK: 1, recipe: recipe, correctionBias: values)
    }
    expectFaults([.configuration], ["per-expert scale"]) {
      _ = try TopKRouter(expertCount: 4, topK: 1, recipe: recipe, perExpertScale: values)
    }
  }

  static let badRecipes = [
    TopKRecipe(scoring: .softmax, softCap: 0), TopKRecipe(scoring: .softmax, softCap: .nan),
    TopKRecipe(scoring: .softmax, scale: .nan), TopKRecipe(scoring: .softmax, scale: .infinity),
    TopKRecipe(scoring: .softmax, normalization: .pNorm(0)),
    TopKRecipe(scoring: .softmax, normalization: .sum(epsilon: -1)),
    TopKRecipe(scoring: .softmax, normalization: .clampedSum(minimum: .nan)),
  ]

  @Test(arguments: badRecipes) func recipes(recipe: TopKRecipe) {
    expectFaults([.configuration]) { _ = try TopKRouter(expertCount: 4, topK: 1, recipe: recipe) }
  }

  @Test(arguments: [(7, 2), (9, 2), (0, 1), (8, -1), (8, .max), (0, .min)]) func lengths(count: Int, tokens: Int) throws
  {
    let router = try TopKRouter(expertCount: 4, topK: 1, recipe: TopKRecipe(scoring: .softmax))
    let logits = [Float](repeating: 0, count: count)
    expectFaults([.invalidArgument], ["logits"]) {
      _ = try router.route(RouterInput(logits: logits, tokenCount: tokens))
    }
  }

  @Test func padding() throws {
    let router = try TopKRouter(expertCount: 4, topK: 1, recipe: TopKRecipe(scoring: .softmax))
    expectFaults([.invalidArgument], ["padding"]) {
      _ = try router.route(RouterInput(logits: [0, 0, 0, 0], tokenCount: 1, isPadding: []))
    }
  }

  @Test(
    arguments: [([0, 1, 2], [1, 1, 1], 2), ([0, 1], [1], 1), ([0], [1], 0), ([0], [1], -1)]
      as [([Int32], [Float], Int)])
  func routings(ids: [Int32], weights: [Float], topK: Int) {
    expectFaults([.invalidArgument]) { _ = try Routing(topK: topK, ids: ids, weights: weights) }
  }

  /// The arrays of a routing can be changed from outside.
  @Test func spoiltRoutings() throws {
    var routing = try Routing(topK: 1, ids: [0, 1], weights: [1, 1])
    routing.ids.append(0)
    expectFaults([.invalidArgument], ["3 ids and 2 weights"]) { try routing.validate(idCount: 4) }
    routing.ids = [4, -2]
    expectFaults([.invalidArgument], ["2 routed slot(s)", "token 0"]) { try routing.validate(idCount: 4) }
  }
}
