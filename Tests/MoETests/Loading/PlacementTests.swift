// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import TestSupport
import Testing

/// Grids of ranks, slots of ranks, cuts of sizes.
@Suite struct PlacementTests {
  @Test func ranksOfAGrid() throws {
    let ranks = try ParallelLayout(tensorParallel: 2, expertParallel: 3).ranks
    #expect(ranks.map(\.tensorRank) == [0, 1, 0, 1, 0, 1])
    #expect(ranks.map(\.expertRank) == [0, 0, 1, 1, 2, 2])
    for (tensorParallel, expertParallel, rank) in [(0, 1, 0), (1, -1, 0), (2, 2, 4), (2, 2, -1), (1 << 17, 1, 0)] {
      expectFaults([.invalidArgument]) {
        _ = try ParallelLayout(tensorParallel: tensorParallel, expertParallel: expertParallel, rank: rank)
      }
    }
  }

  /// The first ranks hold the rest; ranks may be empty.
  @Test(arguments: [(10, 4, [3, 3, 2, 2]), (3, 5, [1, 1, 1, 0, 0]), (8, 2, [4, 4])])
  func unevenSlots(experts: Int, ranks: Int, expected: [Int]) throws {
    let placement = try ExpertPlacement.initial(expertCount: experts, ranks: ranks)
    #expect((0..<ranks).map { placement.slots(of: $0).count } == expected)
    #expect((0..<ranks).flatMap { placement.experts(of: $0) }.map(\.rawValue) == Array(0..<experts))
  }

  @Test func replicas() throws {
    let placement = try ExpertPlacement.initial(expertCount: 3, redundant: 5, ranks: 4)
    #expect(placement.logical.map(\.rawValue) == [0, 1, 2, 0, 1, 2, 0, 1])
    #expect(placement.redundantCount == 5)
    expectFaults([.invalidArgument], ["2 redundant divide", "256 experts + 1 redundant"]) {
      _ = try ExpertPlacement.initial(expertCount: 256, redundant: 1, ranks: 3)
    }
    #expect(ExpertPlacement.leastRedundant(expertCount: 256, ranks: 3) == 2)
    #expect(ExpertPlacement.leastRedundant(expertCount: 256, ranks: 4) == 0)
  }

  /// Cuts of a layer of bf16, where any place will do.
  @Test(arguments: [(12, 4, [3, 3, 3, 3]), (10, 4, [3, 3, 2, 2]), (7, 7, [1, 1, 1, 1, 1, 1, 1])])
  func plainCuts(intermediate: Int, ranks: Int, expected: [Int]) throws {
    let test = ExpertsCase(experts: 1, hidden: 4, intermediate: intermediate)
    let (fixture, registry) = StoredLayout.stacked.checkpoint(RandomExperts(test.specification, seed: 1))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let source = try MoEModel(opening: folder.path, registry: registry).layer(0).experts
    let grid = try ParallelLayout(tensorParallel: ranks, expertParallel: 1)
    let plans = try grid.ranks.map { try LoadPlan(source, on: ReferenceBackend(), as: $0) }
    #expect(plans.map(\.intermediate.count) == expected)
    #expect(plans.flatMap { Array($0.intermediate) } == Array(0..<intermediate))
    #expect(plans[0].notes.isEmpty == (intermediate % ranks == 0))
    expectFaults([.invalidArgument], ["expert parallel \(intermediate + 1) costs nothing"]) {
      let rank = try ParallelLayout(tensorParallel: intermediate + 1, expertParallel: 1)
      _ = try LoadPlan(source, on: ReferenceBackend(), as: rank)
    }
  }
}
