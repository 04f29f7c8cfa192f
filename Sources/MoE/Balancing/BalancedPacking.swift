// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// The two steps of DeepSeek's load balancer (EPLB, 2025), with ties broken as published: the sort is stable and
/// descending, minima and maxima are the first ones.
enum BalancedPacking {
  /// Puts items into packs of as many items each, the heaviest first, each into the lightest pack that has room.
  ///
  /// - Parameter weights: a multiple of `packs` of them.
  /// - Returns: of each item its pack and its place in it.
  static func pack(_ weights: [Double], into packs: Int) -> (packs: [Int], places: [Int]) {
    let room = weights.count / packs
    if room == 1 { return (Array(weights.indices), Array(repeating: 0, count: weights.count)) }
    var (chosen, places) = (Array(repeating: 0, count: weights.count), Array(repeating: 0, count: weights.count))
    var (sums, counts) = (Array(repeating: 0.0, count: packs), Array(repeating: 0, count: packs))
    for item in weights.indices.sorted(by: { (weights[$1], $0) < (weights[$0], $1) }) {
      var lightest: Int?
      for pack in 0..<packs where counts[pack] < room {
        if let best = lightest, sums[pack] >= sums[best] { continue }
        lightest = pack
      }
      let pack = lightest!
      chosen[item] = pack
      places[item] = counts[pack]
      sums[pack] += weights[item]
      counts[pack] += 1
    }
    return (chosen, places)
  }

  /// Gives every expert a slot, and each further slot to the expert with the greatest load per replica.
  ///
  /// - Parameter slots: at least as many as experts.
  /// - Returns: the expert of each slot, and the replicas of each expert.
  static func replicate(_ weights: [Double], slots: Int) -> (experts: [Int], counts: [Int]) {
    var experts = Array(weights.indices)
    var counts = Array(repeating: 1, count: weights.count)
    var shares = weights
    while experts.count < slots {
      var busiest = 0
      for expert in shares.indices where shares[expert] > shares[busiest] { busiest = expert }
      experts.append(busiest)
      counts[busiest] += 1
      shares[busiest] = weights[busiest] / Double(counts[busiest])
    }
    return (experts, counts)
  }
}
