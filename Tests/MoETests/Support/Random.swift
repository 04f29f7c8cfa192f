// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE

/// Values from a seed, so that a failing case comes back.
func randomValues(_ count: Int, seed: UInt64, deviation: Double = 1) -> [Float] {
  var generator = SplitMix64(seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x51)
  return (0..<count).map { _ in Float(generator.normal() * deviation) }
}

/// Distinct experts for each token, with weights that do not sum to 1.
func randomRouting(tokens: Int, topK: Int, experts: Int, seed: UInt64) throws -> Routing {
  var generator = SplitMix64(seed: seed)
  var ids: [Int32] = []
  for _ in 0..<tokens { ids += (0..<Int32(experts)).shuffled(using: &generator).prefix(topK) }
  let weights = (0..<ids.count).map { _ in Float(generator.unitInterval()) }
  return try Routing(topK: topK, ids: ids, weights: weights)
}
