// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// vLLM's form of a policy: what a rank keeps stays in its slot, so that nothing is copied within a rank that needn't be.
///
/// Ranks hold the same experts as under the policy below, deepseek-hierarchical by default.
public struct SlotPreservingBalancer: ExpertLoadBalancer {
  public let name = "slot-preserving"
  public let base: any ExpertLoadBalancer

  public init(_ base: any ExpertLoadBalancer = DeepSeekBalancer.hierarchical) { self.base = base }

  public func faults(of topology: BalancingTopology) -> [Fault] { base.faults(of: topology) }

  public func placement(
    for loads: [Double], on topology: BalancingTopology, from current: ExpertPlacement
  ) throws(MoEError) -> ExpertPlacement {
    try base.placement(for: loads, on: topology, from: current).preservingSlots(of: current)
  }
}

extension ExpertPlacement {
  /// The same experts on each rank, in the slots that they had in another placement of as many slots and ranks; further
  /// ones in the slots left, in the order they had here.
  func preservingSlots(of old: ExpertPlacement) -> ExpertPlacement {
    guard old.logical.count == logical.count, old.rankCount == rankCount else { return self }
    var map = logical
    for rank in 0..<rankCount {
      let slots = slots(of: rank)
      var rest = Array(logical[slots])
      var free: [Int] = []
      for slot in slots {
        if let index = rest.firstIndex(of: old.logical[slot]) {
          map[slot] = rest.remove(at: index)
        } else {
          free.append(slot)
        }
      }
      for (slot, expert) in zip(free, rest) { map[slot] = expert }
    }
    return ExpertPlacement(checked: map, expertCount: expertCount, ranks: rankCount)
  }
}
