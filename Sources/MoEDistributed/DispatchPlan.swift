// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE

/// Where the routed rows of a batch go and in which order they come back: a function of routing and placement.
struct DispatchPlan: Sendable {
  let topK: Int
  /// By owner: the tokens that have an expert there, each once, ascending.
  private(set) var tokens: [[Int]]
  /// By owner: local slots, Int32 `[its tokens, topK]`; −1 where the slot's expert is elsewhere.
  private(set) var ids: [[Int32]]
  /// By owner: weights, `[its tokens, topK]`.
  private(set) var weights: [[Float]]
  /// By owner: the rows that it computes, one for each of its slots that aren't −1, in the order of `ids`.
  private(set) var rowCounts: [Int]
  /// The slot's row among those of all owners, one owner after the other: Int32 `[tokens, topK]`, 0 where skipped.
  private(set) var indices: [Int32]

  /// - Parameters:
  ///   - physical: slots of the placement, `[tokens, topK]`; −1 is skipped.
  ///   - range: the tokens that are planned for.
  init(_ physical: [Int32], _ routing: Routing, _ map: ExpertMap, tokens range: Range<Int>? = nil) {
    let range = range ?? 0..<routing.tokenCount
    let owners = map.placement.rankCount
    topK = routing.topK
    tokens = Array(repeating: [], count: owners)
    ids = Array(repeating: [], count: owners)
    weights = Array(repeating: [], count: owners)
    rowCounts = Array(repeating: 0, count: owners)
    indices = Array(repeating: 0, count: range.count * topK)
    for token in range {
      for slot in routing.slots(of: token) where physical[slot] >= 0 {
        let owner = Int(map.owner[Int(physical[slot])])
        if tokens[owner].last != token {
          tokens[owner].append(token)
          ids[owner] += repeatElement(-1, count: topK)
          weights[owner] += repeatElement(0, count: topK)
        }
        let place = ids[owner].count - topK + slot % topK
        ids[owner][place] = map.place[Int(physical[slot])]
        weights[owner][place] = routing.weights[slot]
        indices[slot - range.lowerBound * topK] = Int32(rowCounts[owner])
        rowCounts[owner] += 1
      }
    }
    // From places among an owner's rows to places among all.
    let starts = rowCounts.reduce(into: [0]) { $0.append($0.last! + $1) }
    for (place, slot) in (range.lowerBound * topK..<range.upperBound * topK).enumerated() where physical[slot] >= 0 {
      indices[place] += Int32(starts[Int(map.owner[Int(physical[slot])])])
    }
  }

  /// All rows of all owners.
  var rowCount: Int { rowCounts.reduce(0, +) }

  /// The row of each slot that isn't −1, counted in order: where an owner puts what it computes.
  static func compactIndices(_ ids: [Int32]) -> [Int32] {
    var next: Int32 = 0
    return ids.map { id in
      guard id >= 0 else { return 0 }
      defer { next += 1 }
      return next
    }
  }
}

extension [Int] {
  /// Ranges of these lengths, one after the other, each number standing for so many.
  func ranges(of stride: Int) -> [Range<Int>] {
    var start = 0
    return map { count in
      defer { start += count * stride }
      return start..<start + count * stride
    }
  }
}
