// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// Groups of consecutive experts of which only the best stay eligible (DeepSeek-V2 and V3's node-limited routing).
public struct ExpertGroups: Sendable, Hashable {
  /// How a group is scored.
  public enum Score: Sendable, Hashable {
    /// Its best expert (DeepSeek-V2).
    case maximum
    /// The sum of its two best experts (DeepSeek-V3).
    case topTwoSum
  }

  public var count: Int
  /// Groups that stay eligible.
  public var kept: Int
  public var score: Score
  /// The rank of experts in dropped groups: −∞, or 0 as in DeepSeek-V2.
  public var maskValue: Float

  public init(count: Int, kept: Int, score: Score, maskValue: Float = -.infinity) {
    self.count = count
    self.kept = kept
    self.score = score
    self.maskValue = maskValue
  }
}

/// What a ``TopKRouter`` does to a row, without a layer's data.
///
/// In order: cap the logits, score, add the correction bias, drop groups, pick the top k, take the unbiased scores,
/// normalise, scale. A score that is not finite counts as 0; among groups its expert is not eligible at all.
public struct TopKRecipe: Sendable, Hashable {
  public var scoring: Scoring
  /// Ranks by logit instead of score: the same choice where the score is monotonic, without ties from saturation.
  public var ranksLogits: Bool
  /// `cap · tanh(logit / cap)` before everything else.
  public var softCap: Float?
  public var groups: ExpertGroups?
  public var normalization: Normalization
  public var scale: Float

  public init(
    scoring: Scoring, ranksLogits: Bool = false, softCap: Float? = nil, groups: ExpertGroups? = nil,
    normalization: Normalization = .none, scale: Float = 1
  ) {
    self.scoring = scoring
    self.ranksLogits = ranksLogits || scoring == .selectedSoftmax
    self.softCap = softCap
    self.groups = groups
    self.normalization = normalization
    self.scale = scale
  }
}

/// Scores all experts of a token and picks the best `topK`.
///
/// ```swift
/// // DeepSeek-V3: sigmoid scores, 8 groups of which 4 stay, renormalised and scaled.
/// let router = try TopKRouter(
///   expertCount: 256, topK: 8,
///   recipe: TopKRecipe(
///     scoring: .sigmoid, groups: ExpertGroups(count: 8, kept: 4, score: .topTwoSum),
///     normalization: .sum(epsilon: 1e-20), scale: 2.5),
///   correctionBias: bias)
/// let routing = try router.route(RouterInput(logits: logits, tokenCount: 16))
/// ```
public struct TopKRouter: Router {
  public let expertCount: Int
  public let topK: Int
  public let recipe: TopKRecipe
  /// Added to the score for *selection only*, `[experts]`.
  public let correctionBias: [Float]?
  /// Multiplies the final weight of each expert, `[experts]` (Gemma-4).
  public let perExpertScale: [Float]?

  /// - Throws: `configuration` when k, the groups or the lengths do not fit the number of experts.
  public init(
    expertCount: Int, topK: Int, recipe: TopKRecipe, correctionBias: [Float]? = nil, perExpertScale: [Float]? = nil
  ) throws(MoEError) {
    try recipe.validate(expertCount: expertCount, topK: topK)
    for (name, values) in [("correction bias", correctionBias), ("per-expert scale", perExpertScale)] {
      guard let values else { continue }
      guard values.count == expertCount, values.allSatisfy(\.isFinite) else {
        throw MoEError(
          .configuration, "the \(name) of the router must be \(expertCount) finite values",
          found: "\(values.count) values, \(values.count { !$0.isFinite }) of them not finite")
      }
    }
    self.expertCount = expertCount
    self.topK = topK
    self.recipe = recipe
    self.correctionBias = correctionBias
    self.perExpertScale = perExpertScale
  }

  public func route(_ input: RouterInput) throws(MoEError) -> Routing {
    try input.routeRows(of: self) { token, row, routing in
      var logits = row
      if let cap = recipe.softCap { for index in logits.indices { logits[index] = cap * tanh(logits[index] / cap) } }
      var scores = recipe.scoring.scores(of: logits)
      if recipe.groups == nil && recipe.scoring != .selectedSoftmax { scores = scores.map(finiteOrZero) }
      var ranks = recipe.ranksLogits ? Array(logits) : scores
      if let correctionBias { for index in ranks.indices { ranks[index] += correctionBias[index] } }
      let slots = routing.slots(of: token)
      if let groups = recipe.groups {
        guard let dropped = groups.mask(&ranks) else {
          routing.fillEvenly(slots)
          return
        }
        // An expert of a dropped group can be picked where too few others are left. Then it weighs nothing, unless a
        // mask of 0 competes with biased scores, as in DeepSeek's first release of V3.
        let keepsScores = correctionBias != nil && groups.maskValue > -.infinity
        for index in dropped where !keepsScores { scores[index] = recipe.scoring == .selectedSoftmax ? -.infinity : 0 }
      }
      let ids = topIndices(ranks, count: topK)
      var weights = ids.map { scores[$0] }
      if recipe.scoring == .selectedSoftmax { weights = softmaxScores(weights) }
      weights = weights.map(finiteOrZero)
      recipe.normalization.apply(to: &weights)
      for (slot, (id, weight)) in zip(slots, zip(ids, weights)) {
        routing.ids[slot] = Int32(id)
        routing.weights[slot] = weight * recipe.scale * (perExpertScale?[id] ?? 1)
      }
    }
  }
}

extension TopKRecipe {
  /// - Throws: `configuration` with all that does not fit.
  func validate(expertCount: Int, topK: Int) throws(MoEError) {
    try validateTopK(topK, of: expertCount)
    try groups?.validate(expertCount: expertCount, topK: topK)
    guard softCap ?? 1 > 0, (softCap ?? 1).isFinite, scale.isFinite, normalization.isValid else {
      throw MoEError(
        .configuration, "a number of the router has no meaning",
        expected: "a finite scale, a cap above 0, an epsilon of at least 0, a norm above 0", found: "\(self)")
    }
  }
}

extension ExpertGroups {
  func validate(expertCount: Int, topK: Int) throws(MoEError) {
    guard count > 0, expertCount.isMultiple(of: count), (1...count).contains(kept),
      topK <= kept * (expertCount / count), score == .maximum || expertCount / count >= 2
    else {
      throw MoEError(
        .configuration, "expert groups do not fit \(expertCount) experts and top-\(topK)",
        expected: "groups that divide the experts, 1...groups of them kept, and at least top-k experts in those",
        found: "\(count) groups, \(kept) kept")
    }
  }

  /// Masks the ranks of dropped groups.
  ///
  /// - Returns: the experts of dropped groups, or nil when fewer than `kept` groups have a finite score, so that there is
  ///   nothing to choose from.
  func mask(_ ranks: inout [Float]) -> [Int]? {
    let size = ranks.count / count
    for index in ranks.indices where !ranks[index].isFinite { ranks[index] = -.infinity }
    let scores = (0..<count).map { group in
      let members = Array(ranks[group * size..<(group + 1) * size])
      let best = topIndices(members, count: score == .topTwoSum ? 2 : 1)
      return best.reduce(Float(0)) { $0 + members[$1] }
    }
    let keptGroups = topIndices(scores, count: kept)
    guard scores[keptGroups[kept - 1]] > -.infinity else { return nil }
    let dropped = ranks.indices.filter { !keptGroups.contains($0 / size) }
    for index in dropped { ranks[index] = maskValue }
    return dropped
  }
}

extension Routing {
  /// Ids 0, 1, … with equal weights: what a row gets that has no finite score.
  fileprivate mutating func fillEvenly(_ slots: Range<Int>) {
    for (id, slot) in slots.enumerated() {
      ids[slot] = Int32(id)
      weights[slot] = 1 / Float(topK)
    }
  }
}

func validateTopK(_ topK: Int, of expertCount: Int) throws(MoEError) {
  guard expertCount > 0, (1...expertCount).contains(topK) else {
    throw MoEError(
      .configuration, "top-k must lie between 1 and the number of experts", expected: "1...\(expertCount)",
      found: "\(topK)")
  }
}
