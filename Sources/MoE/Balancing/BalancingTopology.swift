// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// What a balancer places experts on: slots of ranks of nodes.
///
/// ```swift
/// let topology = try BalancingTopology(expertCount: 256, slots: 288, ranks: 32, nodes: 4, groups: 8)
/// topology.slotsPerRank   // 9
/// ```
public struct BalancingTopology: Sendable, Hashable {
  public let expertCount: Int
  /// Of all ranks; those beyond `expertCount` hold replicas.
  public let slotCount: Int
  public let rankCount: Int
  /// Machines, between which moving rows is dear; each has as many ranks.
  public let nodeCount: Int
  /// Groups of experts that a router chooses between first, each as large; 1 for a router that doesn't.
  public let groupCount: Int

  public var slotsPerRank: Int { slotCount / rankCount }
  public var ranksPerNode: Int { rankCount / nodeCount }

  /// - Throws: `invalidArgument` for sizes that don't fit one another, all at once.
  public init(expertCount: Int, slots: Int, ranks: Int, nodes: Int = 1, groups: Int = 1) throws(MoEError) {
    let sizes = [
      ("experts", expertCount, Self.largestSlotCount), ("slots", slots, Self.largestSlotCount),
      ("ranks", ranks, Self.largestRankCount), ("nodes", nodes, Self.largestRankCount),
      ("groups", groups, Self.largestSlotCount),
    ]
    var faults = sizes.filter { !(1...$0.2).contains($0.1) }.map { name, size, limit in
      Fault(.invalidArgument, "no such number of \(name)", expected: "1...\(limit)", found: "\(size)")
    }
    if faults.isEmpty {
      if slots < expertCount {
        faults.append(
          Fault(
            .invalidArgument, "fewer slots than experts", expected: "at least \(expertCount)", found: "\(slots)",
            remedy: "\(expertCount + (ranks - expertCount % ranks) % ranks) slots are the fewest that divide"))
      } else if slots % ranks != 0 {
        let fewer = slots - slots % ranks
        let legal = (fewer >= expertCount ? [fewer] : []) + [fewer + ranks]
        faults.append(
          Fault(
            .invalidArgument, "slots don't divide over the ranks", expected: "a multiple of \(ranks)",
            found: "\(slots) slots, \(slots - expertCount) of them redundant",
            remedy: legal.map { "\($0) (\($0 - expertCount) redundant)" }.joined(separator: " or ") + " slots divide"))
      }
      if ranks % nodes != 0 {
        faults.append(
          Fault(
            .invalidArgument, "ranks don't divide over the nodes", expected: "a multiple of \(nodes)",
            found: "\(ranks) ranks"))
      }
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    self.expertCount = expertCount
    slotCount = slots
    rankCount = ranks
    nodeCount = nodes
    groupCount = groups
  }

  /// Balancers keep tables of ranks × experts and ranks × ranks.
  package static let (largestSlotCount, largestRankCount) = (1 << 20, 1 << 12)

  /// Where experts stand before any balancing.
  public func initialPlacement() throws(MoEError) -> ExpertPlacement {
    try .initial(expertCount: expertCount, redundant: slotCount - expertCount, ranks: rankCount)
  }

  /// Whether whole groups can stay on one node, each with as many.
  var keepsGroupsTogether: Bool { groupCount % nodeCount == 0 }
}
