// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension ExpertPlacement {
  /// The slot that serves an expert for a token: replica `h mod count`, where `h` is the token's index times 2654435769,
  /// modulo 2³² (vLLM's rule). All slots of a token use the same `h`.
  ///
  /// - Parameter token: its index in the batch of the rank that routes it, from 0 on.
  public func slot(of expert: LogicalExpert, token: Int) -> PhysicalExpert {
    let slots = replicas[expert.rawValue]
    let hash = UInt32(truncatingIfNeeded: token) &* 2_654_435_769
    return slots[Int(hash % UInt32(slots.count))]
  }

  /// The slots that a routing goes to, `[tokens, topK]`; −1 stays −1, and so becomes an id of no expert here.
  public func physicalIDs(of routing: Routing) -> [Int32] {
    routing.ids.indices.map { index in
      let id = Int(routing.ids[index])
      guard replicas.indices.contains(id) else { return -1 }
      return Int32(slot(of: LogicalExpert(rawValue: id), token: index / routing.topK).rawValue)
    }
  }
}
