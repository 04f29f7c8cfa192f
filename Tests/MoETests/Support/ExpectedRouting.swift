// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE

/// What a recipe gives for one row, in Float64 and without the tricks of the real thing.
struct ExpectedRouting {
  var ids: [Int]
  var weights: [Double]

  init(_ row: [Float], _ recipe: TopKRecipe, topK: Int, bias: [Float]? = nil, perExpertScale: [Float]? = nil) {
    var logits = row.map(Double.init)
    if let cap = recipe.softCap.map(Double.init) { logits = logits.map { cap * tanh($0 / cap) } }
    var scores = Self.scores(logits, recipe.scoring)
    var ranks = recipe.ranksLogits ? logits : scores
    if let bias { ranks = zip(ranks, bias).map { $0 + Double($1) } }
    if let groups = recipe.groups {
      let kept = Self.keptGroups(ranks, groups)
      let size = ranks.count / groups.count
      for id in ranks.indices where !kept.contains(id / size) {
        ranks[id] = Double(groups.maskValue)
        if bias == nil { scores[id] = recipe.scoring == .selectedSoftmax ? -.infinity : 0 }
      }
    }
    ids = Array(Self.descending(ranks).prefix(topK))
    weights = ids.map { scores[$0] }
    if recipe.scoring == .selectedSoftmax { weights = Self.scores(weights, .softmax) }
    let divisor = Self.divisor(weights, recipe.normalization)
    weights = zip(ids, weights).map { id, weight in
      weight / (divisor == 0 ? 1 : divisor) * Double(recipe.scale) * Double(perExpertScale?[id] ?? 1)
    }
  }

  private static func scores(_ logits: [Double], _ scoring: Scoring) -> [Double] {
    switch scoring {
    case .softmax: logits.map { exp($0) / logits.reduce(0) { $0 + exp($1) } }
    case .sigmoid: logits.map { 1 / (1 + exp(-$0)) }
    case .sqrtSoftplus: logits.map { log1p(exp($0)).squareRoot() }
    case .selectedSoftmax: logits
    }
  }

  private static func keptGroups(_ ranks: [Double], _ groups: ExpertGroups) -> Set<Int> {
    let size = ranks.count / groups.count
    let scores = (0..<groups.count).map { group in
      ranks[group * size..<(group + 1) * size].sorted(by: >).prefix(groups.score == .maximum ? 1 : 2).reduce(0, +)
    }
    return Set(descending(scores).prefix(groups.kept))
  }

  private static func divisor(_ weights: [Double], _ normalization: Normalization) -> Double {
    switch normalization {
    case .none: 1
    case .sum(let epsilon): weights.reduce(0, +) + Double(epsilon)
    case .clampedSum(let minimum): max(weights.reduce(0, +), Double(minimum))
    case .pNorm(let p): pow(weights.reduce(0) { $0 + pow(abs($1), Double(p)) }, 1 / Double(p))
    }
  }

  /// Indices from the largest value to the smallest, equal ones in their order.
  private static func descending(_ values: [Double]) -> [Int] {
    values.indices.sorted { (-values[$0], $0) < (-values[$1], $1) }
  }
}
