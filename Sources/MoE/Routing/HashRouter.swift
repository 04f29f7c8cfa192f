// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Routes by token id through a table (the hash layers of DeepSeek-V4); scores still come from the gate.
///
/// Image tokens, whose ids lie in `imageSentinel ..< imageSentinel + 5`, choose the top k of score + `imageBias` instead.
public struct HashRouter: Router {
  public let expertCount: Int
  public let topK: Int
  public let scoring: Scoring
  public let normalization: Normalization
  public let scale: Float
  /// Expert ids, row-major `[vocabulary, topK]`.
  public let table: [Int32]
  /// The correction bias of image tokens `[experts]` and the first of their ids.
  public let vision: Vision?

  public struct Vision: Sendable, Hashable {
    public var bias: [Float]
    public var imageSentinel: Int32

    public init(bias: [Float], imageSentinel: Int32) {
      self.bias = bias
      self.imageSentinel = imageSentinel
    }

    /// Ids from the sentinel on that stand for images.
    static let sentinelCount: Int32 = 5
  }

  public var needsTokenIDs: Bool { true }
  public var vocabularySize: Int { table.count / topK }

  /// - Throws: `configuration` when the table is no `[vocabulary, topK]` of expert ids, or the bias has another length.
  public init(
    expertCount: Int, topK: Int, table: [Int32], scoring: Scoring = .sqrtSoftplus,
    normalization: Normalization = .sum(epsilon: 1e-20), scale: Float = 1, vision: Vision? = nil
  ) throws(MoEError) {
    try validateTopK(topK, of: expertCount)
    guard !table.isEmpty, table.count.isMultiple(of: topK),
      table.allSatisfy({ $0 >= 0 && $0 < expertCount })
    else {
      throw MoEError(
        .configuration, "the routing table must be [vocabulary, \(topK)] ids in 0..<\(expertCount)",
        found: "\(table.count) values, \(table.count { $0 < 0 || $0 >= expertCount }) of them out of range")
    }
    if let bias = vision?.bias, bias.count != expertCount || !bias.allSatisfy(\.isFinite) {
      throw MoEError(
        .configuration, "the bias of image tokens must be \(expertCount) finite values",
        found: "\(bias.count) values, \(bias.count { !$0.isFinite }) of them not finite")
    }
    try TopKRecipe(scoring: scoring, normalization: normalization, scale: scale)
      .validate(expertCount: expertCount, topK: topK)
    self.expertCount = expertCount
    self.topK = topK
    self.table = table
    self.scoring = scoring
    self.normalization = normalization
    self.scale = scale
    self.vision = vision
  }

  public func route(_ input: RouterInput) throws(MoEError) -> Routing {
    try input.routeRows(of: self) { (token, logits, routing) throws(MoEError) in
      var scores = scoring.scores(of: logits)
      if scoring != .selectedSoftmax { scores = scores.map(finiteOrZero) }
      let tokenID = input.tokenIDs![token]
      let ids: [Int]
      if let vision, vision.contains(tokenID) {
        ids = topIndices(zip(scores, vision.bias).map(+), count: topK)
      } else {
        guard tokenID >= 0, tokenID < vocabularySize else {
          throw MoEError(
            .invalidArgument, "token \(token) has an id outside of the routing table",
            expected: "0..<\(vocabularySize)", found: "\(tokenID)")
        }
        ids = (0..<topK).map { Int(table[Int(tokenID) * topK + $0]) }
      }
      var weights = ids.map { scores[$0] }
      if scoring == .selectedSoftmax { weights = softmaxScores(weights).map(finiteOrZero) }
      normalization.apply(to: &weights)
      for (slot, (id, weight)) in zip(routing.slots(of: token), zip(ids, weights)) {
        routing.ids[slot] = Int32(id)
        routing.weights[slot] = weight * scale
      }
    }
  }
}

extension HashRouter.Vision {
  func contains(_ tokenID: Int32) -> Bool {
    imageSentinel > 0 && tokenID >= imageSentinel && tokenID - imageSentinel < Self.sentinelCount
  }
}
