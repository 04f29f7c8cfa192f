// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// As even as DeepSeek's hierarchical policy, or within ``tolerance`` of it, with few experts moved between ranks.
///
/// Three placements are made, and the one that moves the fewest experts is taken:
/// - the current one, when it is even enough;
/// - the current one, repaired by swaps and replicas until it is;
/// - DeepSeek's, with its ranks renamed so that they overlap the most with what ranks hold, and arrivals then taken back
///   where the loads allow.
///
/// The last always exists, so the result is never less even. See `docs/balancing.md` for the steps and measured figures.
public struct LeastMoveBalancer: ExpertLoadBalancer {
  public let name = "least-move"
  /// The share of DeepSeek's balancedness that may be given up.
  public let tolerance: Double

  private static let goal = DeepSeekBalancer.hierarchical

  /// - Precondition: `0 ..< 1` contains the tolerance.
  public init(tolerance: Double = 0.01) {
    precondition((0..<1).contains(tolerance), "a tolerance of \(tolerance)")
    self.tolerance = tolerance
  }

  public func faults(of topology: BalancingTopology) -> [Fault] { Self.goal.faults(of: topology) }

  public func placement(
    for loads: [Double], on topology: BalancingTopology, from current: ExpertPlacement
  ) throws(MoEError) -> ExpertPlacement {
    let goal = try Self.goal.placement(for: loads, on: topology, from: current)
    let limit = goal.rankLoads(loads).max()! / (1 - tolerance)
    let keepsGroups = topology.keepsGroupsTogether && topology.nodeCount > 1
    let ranksPerNode = keepsGroups ? topology.ranksPerNode : topology.rankCount
    func search(_ start: ExpertPlacement) -> PlacementSearch {
      PlacementSearch(start, loads: loads, limit: limit, ranksPerNode: ranksPerNode, held: current)
    }

    var renamed = search(goal.renamingRanks(toward: current, ranksPerNode: ranksPerNode))
    renamed.relax()
    var best = renamed
    let canStart =
      current.logical.count == topology.slotCount && current.rankCount == topology.rankCount
      && (!keepsGroups || current.keepsGroupsTogether(topology))
    if canStart {
      var repaired = search(current)
      if repaired.repair() {
        repaired.relax()
        if repaired.arrivals <= renamed.arrivals { best = repaired }
      }
    }
    let map = best.slots.joined().map(LogicalExpert.init(rawValue:))
    return ExpertPlacement(checked: map, expertCount: loads.count, ranks: topology.rankCount)
      .preservingSlots(of: current)
  }
}

extension ExpertPlacement {
  /// Whether each group of experts is on one node, and each node has as many of them.
  fileprivate func keepsGroupsTogether(_ topology: BalancingTopology) -> Bool {
    let groupSize = topology.expertCount / topology.groupCount
    let nodes = (0..<topology.groupCount).map { group in
      Set(
        (group * groupSize..<(group + 1) * groupSize).flatMap { expert in
          replicas[expert].map { rank(of: $0) / topology.ranksPerNode }
        })
    }
    guard nodes.allSatisfy({ $0.count == 1 }) else { return false }
    let groups = Dictionary(grouping: nodes, by: \.self).values.map(\.count)
    return groups.allSatisfy { $0 == topology.groupCount / topology.nodeCount }
  }

  /// The same ranks in another order, so that as few experts as possible arrive: nodes change places, and ranks within
  /// their nodes, which changes no load.
  fileprivate func renamingRanks(toward current: ExpertPlacement, ranksPerNode: Int) -> ExpertPlacement {
    let held = (0..<rankCount).map { rank in
      rank < current.rankCount ? Set(current.experts(of: rank)) : []
    }
    let wanted = (0..<rankCount).map { Set(experts(of: $0)) }
    let nodes = stride(from: 0, to: rankCount, by: ranksPerNode).map { $0..<$0 + ranksPerNode }
    let best = nodes.map { source in
      nodes.map { target in
        let costs = source.map { from in target.map { wanted[from].subtracting(held[$0]).count } }
        let columns = leastCostAssignment(costs)
        return (columns: columns, cost: zip(costs, columns).reduce(0) { $0 + $1.0[$1.1] })
      }
    }
    var map = logical
    for (index, place) in leastCostAssignment(best.map { $0.map(\.cost) }).enumerated() {
      for (offset, column) in best[index][place].columns.enumerated() {
        let rank = nodes[place].lowerBound + column
        map.replaceSubrange(slots(of: rank), with: experts(of: nodes[index].lowerBound + offset))
      }
    }
    return ExpertPlacement(checked: map, expertCount: expertCount, ranks: rankCount)
  }
}
