// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The evaluation form of SparseMixer-v2 (Phi-3.5-MoE): each of two picks is weighted by a softmax over the experts
/// close to it, and the weights are not renormalised.
///
/// An expert j takes part in the softmax around the maximum m when `(m − s_j) / max(|s_j|, m) ≤ 2ε`. See "Sparse
/// Backpropagation for MoE Training", arXiv:2310.00811, and the GRIN technical report, arXiv:2409.12136.
public struct SparseMixerRouter: Router {
  public let expertCount: Int
  /// ε, `router_jitter_noise` in the configuration.
  public let jitter: Float
  public var topK: Int { 2 }

  /// - Throws: `configuration` for fewer than two experts, or a jitter that is negative or not finite.
  public init(expertCount: Int, jitter: Float = 0.01) throws(MoEError) {
    try validateTopK(2, of: expertCount)
    guard jitter >= 0, jitter.isFinite else {
      throw MoEError(.configuration, "the jitter of SparseMixer must be a number of at least 0", found: "\(jitter)")
    }
    self.expertCount = expertCount
    self.jitter = jitter
  }

  public func route(_ input: RouterInput) throws(MoEError) -> Routing {
    try input.routeRows(of: self) { token, logits, routing in
      let scores = Array(logits)
      let picks = topIndices(scores, count: 2)
      for (slot, id) in zip(routing.slots(of: token), picks) {
        let maximum = scores[id]
        let near = scores.indices.filter { index in
          // Written so that 0/0, a row of zeros, counts as close. The first pick takes no part in the second.
          (index == id || index != picks[0])
            && !((maximum - scores[index]) / max(abs(scores[index]), maximum) > 2 * jitter)
        }
        let weights = softmaxScores(near.map { scores[$0] }).map(finiteOrZero)
        routing.ids[slot] = Int32(id)
        routing.weights[slot] = near.firstIndex(of: id).map { weights[$0] } ?? 0
      }
    }
  }
}
