// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Which experts each token goes to, and with what weight: the result of a ``Router``.
///
/// **Shapes.** `ids` and `weights` are row-major `[tokens, topK]`, in the order of selection. An id of −1 means *skip
/// this slot*; its weight is 0. Ids at or above the number of experts with weights belong to zero experts.
public struct Routing: Sendable, Hashable {
  public let tokenCount: Int
  public let topK: Int
  /// Logical expert ids `[tokens, topK]`; −1 is skipped.
  public var ids: [Int32]
  /// Mixing weights `[tokens, topK]`, 32-bit.
  public var weights: [Float]

  /// A routing in which every slot is skipped.
  ///
  /// - Precondition: neither number is negative.
  public init(tokenCount: Int, topK: Int) {
    self.tokenCount = tokenCount
    self.topK = topK
    ids = Array(repeating: -1, count: tokenCount * topK)
    weights = Array(repeating: 0, count: tokenCount * topK)
  }

  /// A routing of given ids and weights.
  ///
  /// - Throws: `invalidArgument` when the arrays are no `[tokens, topK]`.
  public init(topK: Int, ids: [Int32], weights: [Float]) throws(MoEError) {
    guard topK > 0, ids.count == weights.count, ids.count.isMultiple(of: topK) else {
      throw MoEError(
        .invalidArgument, "ids and weights of a routing must both be [tokens, topK]",
        expected: "a multiple of topK = \(topK) values", found: "\(ids.count) ids and \(weights.count) weights")
    }
    self.tokenCount = ids.count / topK
    self.topK = topK
    self.ids = ids
    self.weights = weights
  }

  /// The slots of one token.
  public func slots(of token: Int) -> Range<Int> { token * topK..<(token + 1) * topK }

  /// Checks the lengths, and every id against the number of ids there are.
  ///
  /// - Throws: `invalidArgument` naming the first token at fault and how many slots are.
  public func validate(idCount: Int) throws(MoEError) {
    guard ids.count == tokenCount * topK, weights.count == ids.count else {
      throw MoEError(
        .invalidArgument, "ids and weights of a routing must both be [tokens, topK]",
        expected: "[\(tokenCount), \(topK)]", found: "\(ids.count) ids and \(weights.count) weights")
    }
    var bad = 0
    var first: Int?
    for slot in ids.indices
    where ids[slot] < -1 || ids[slot] >= idCount || !weights[slot].isFinite {
      bad += 1
      first = first ?? slot
    }
    guard let first else { return }
    throw MoEError(
      .invalidArgument,
      "\(bad) routed slot(s) are out of range or have no finite weight, the first in token \(first / topK)",
      expected: "expert ids −1 (skip) or 0..<\(idCount) and finite weights",
      found: "id \(ids[first]), weight \(weights[first])")
  }
}
