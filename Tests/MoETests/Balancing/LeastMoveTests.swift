// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

@testable import MoE
import Testing

/// The policy that moves the fewest experts for a balance.
@Suite struct LeastMoveTests {
  /// From the initial placement, and from one that fitted loads of a little earlier: never more than 1 % less even than
  /// DeepSeek's, never more moves, and fewer in the mean.
  @Test func lessMovesForTheSameBalance() throws {
    var moves = Moves(), driftMoves = Moves()
    for seed in 0..<BalancingCase.slowCount {
      let test = try BalancingCase(seed: seed)
      try compare(test, from: nil, &moves)
      let before = try DeepSeekBalancer.hierarchical.placements(for: test.drifted(by: 0.2), on: test.topology)
      try compare(test, from: before, &driftMoves)
    }
    #expect(moves.least < moves.published)
    #expect(driftMoves.least < driftMoves.published)
  }

  /// Experts that ranks receive.
  struct Moves {
    var published = 0
    var least = 0
  }

  private func compare(_ test: BalancingCase, from old: [ExpertPlacement]?, _ moves: inout Moves) throws {
    let topology = test.topology
    let goal = try DeepSeekBalancer.hierarchical.placements(for: test.loads, on: topology, from: old)
    let found = try LeastMoveBalancer().placements(for: test.loads, on: topology, from: old)
    #expect(try LeastMoveBalancer().placements(for: test.loads, on: topology, from: old) == found)
    for layer in goal.indices {
      let loads = test.loads[layer]
      let start = try old?[layer] ?? topology.initialPlacement()
      #expect(found[layer].balancedness(loads) >= 0.99 * goal[layer].balancedness(loads) - 1e-12, "\(topology)")
      let published = try Migration(from: start, to: goal[layer]).transfers.count
      let least = try Migration(from: start, to: found[layer]).transfers.count
      #expect(least <= published, "\(topology)")
      if topology.keepsGroupsTogether { expectGroupsTogether(found[layer], topology) }
      moves.published += published
      moves.least += least
    }
  }

  private func expectGroupsTogether(_ placement: ExpertPlacement, _ topology: BalancingTopology) {
    let size = topology.expertCount / topology.groupCount
    for group in 0..<topology.groupCount {
      let nodes = Set(
        (group * size..<(group + 1) * size).flatMap { expert in
          placement.replicas[expert].map { placement.rank(of: $0) / topology.ranksPerNode }
        })
      #expect(nodes.count == 1, "\(topology)")
    }
  }

  @Test func nothingMovesWhereThingsAreEven() throws {
    let topology = try BalancingTopology(expertCount: 8, slots: 8, ranks: 4)
    let found = try LeastMoveBalancer().placements(for: [Array(repeating: 5, count: 8)], on: topology)
    #expect(try found == [topology.initialPlacement()])
    let idle = try LeastMoveBalancer().placements(for: [Array(repeating: 0, count: 8)], on: topology)
    #expect(idle == found)
  }

  /// The group grows from 2 ranks to 4 and shrinks to 3: those that stay keep what they can.
  @Test func groupsThatGrowAndShrink() throws {
    let loads: [Double] = [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86]
    var placement = try ExpertPlacement.initial(expertCount: 12, ranks: 2)
    for ranks in [4, 3] {
      let topology = try BalancingTopology(expertCount: 12, slots: 12, ranks: ranks)
      let goal = try DeepSeekBalancer.global.placements(for: [loads], on: topology, from: [placement])[0]
      let next = try LeastMoveBalancer().placements(for: [loads], on: topology, from: [placement])[0]
      #expect(next.balancedness(loads) >= 0.99 * goal.balancedness(loads))
      let moved = try Migration(from: placement, to: next).transfers.count
      #expect(try moved <= Migration(from: placement, to: goal).transfers.count)
      placement = next
    }
  }

  /// Against every assignment of up to 6 rows.
  @Test(arguments: 0..<30)
  func assignmentsAreTheCheapest(seed: Int) {
    var generator = SplitMix64(seed: UInt64(seed))
    let count = 1 + seed % 6
    let costs = (0..<count).map { _ in (0..<count).map { _ in Int.random(in: 0...9, using: &generator) } }
    let columns = leastCostAssignment(costs)
    #expect(columns.sorted() == Array(0..<count))
    let cost = columns.indices.reduce(0) { $0 + costs[$1][columns[$1]] }
    #expect(cost == cheapest(costs, row: 0, free: Set(0..<count)))
  }

  private func cheapest(_ costs: [[Int]], row: Int, free: Set<Int>) -> Int {
    free.map { costs[row][$0] + cheapest(costs, row: row + 1, free: free.subtracting([$0])) }.min() ?? 0
  }
}
