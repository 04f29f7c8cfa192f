// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// DeepSeek's expert-parallel load balancer (github.com/deepseek-ai/EPLB), with sums in Float64.
///
/// Hierarchical: groups of experts are packed onto nodes, so that a token whose router chose few groups visits few nodes;
/// each node replicates its busiest experts, and packs its slots onto its ranks. Global is the same with one group and
/// one node, and what hierarchical falls to where groups don't divide over nodes.
public struct DeepSeekBalancer: ExpertLoadBalancer {
  public let name: String
  private let isHierarchical: Bool

  public static let hierarchical = Self(name: "deepseek-hierarchical", isHierarchical: true)
  public static let global = Self(name: "deepseek-global", isHierarchical: false)

  /// Whether groups and nodes of a topology count.
  private func usesGroups(of topology: BalancingTopology) -> Bool { isHierarchical && topology.keepsGroupsTogether }

  public func faults(of topology: BalancingTopology) -> [Fault] {
    guard usesGroups(of: topology), topology.expertCount % topology.groupCount != 0 else { return [] }
    return [
      Fault(
        .invalidArgument, "experts don't divide over the groups", expected: "a multiple of \(topology.groupCount)",
        found: "\(topology.expertCount) experts")
    ]
  }

  public func placement(
    for loads: [Double], on topology: BalancingTopology, from current: ExpertPlacement
  ) throws(MoEError) -> ExpertPlacement {
    let faults = self.faults(of: topology)
    guard faults.isEmpty else { throw MoEError(faults) }
    let isGrouped = usesGroups(of: topology)
    let map = Self.map(
      loads, slots: topology.slotCount, ranks: topology.rankCount, nodes: isGrouped ? topology.nodeCount : 1,
      groups: isGrouped ? topology.groupCount : 1)
    return ExpertPlacement(
      checked: map.map(LogicalExpert.init(rawValue:)), expertCount: loads.count, ranks: topology.rankCount)
  }

  /// The expert of each slot.
  private static func map(_ loads: [Double], slots: Int, ranks: Int, nodes: Int, groups: Int) -> [Int] {
    let groupSize = loads.count / groups
    let groupLoads = (0..<groups).map { group in
      loads[group * groupSize..<(group + 1) * groupSize].reduce(0, +)
    }
    let groupPacks = BalancedPacking.pack(groupLoads, into: nodes)
    let (expertsPerNode, slotsPerNode, slotsPerRank) = (loads.count / nodes, slots / nodes, slots / ranks)
    // Experts by node, in the order of their groups' places.
    var ordered = Array(repeating: 0, count: loads.count)
    for group in 0..<groups {
      let first = groupPacks.packs[group] * expertsPerNode + groupPacks.places[group] * groupSize
      for offset in 0..<groupSize { ordered[first + offset] = group * groupSize + offset }
    }
    var map = Array(repeating: 0, count: slots)
    for node in 0..<nodes {
      let experts = ordered[node * expertsPerNode..<(node + 1) * expertsPerNode]
      let weights = experts.map { loads[$0] }
      let replicas = BalancedPacking.replicate(weights, slots: slotsPerNode)
      let shares = replicas.experts.map { weights[$0] / Double(replicas.counts[$0]) }
      let packs = BalancedPacking.pack(shares, into: ranks / nodes)
      for (slot, expert) in replicas.experts.enumerated() {
        map[node * slotsPerNode + packs.packs[slot] * slotsPerRank + packs.places[slot]] =
          experts[experts.startIndex + expert]
      }
    }
    return map
  }
}
