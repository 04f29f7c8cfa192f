// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Placements from explicit maps, and the choice of replicas.
@Suite struct PlacementMapTests {
  @Test func mapsBothWays() throws {
    let placement = try ExpertPlacement(physicalToLogical: [1, 3, 2, 3, 1, 0], expertCount: 4, ranks: 3)
    #expect(placement.replicas.map { $0.map(\.rawValue) } == [[5], [0, 4], [2], [1, 3]])
    #expect(placement.replicaCounts == [1, 2, 1, 2])
    #expect(placement.redundantCount == 2)
    #expect(placement.experts(of: 1).map(\.rawValue) == [2, 3])
  }

  @Test func initialPlacementIsItsMap() throws {
    let initial = try ExpertPlacement.initial(expertCount: 5, redundant: 7, ranks: 4)
    let map = initial.logical.map(\.rawValue)
    #expect(try ExpertPlacement(physicalToLogical: map, expertCount: 5, ranks: 4) == initial)
  }

  /// Every slot has the rank whose range holds it, also where ranks differ in size or are empty.
  @Test(arguments: [(10, 4), (3, 5), (8, 2), (1, 1), (7, 3)])
  func ranksOfSlots(experts: Int, ranks: Int) throws {
    let placement = try ExpertPlacement.initial(expertCount: experts, ranks: ranks)
    for rank in 0..<ranks {
      for (local, slot) in placement.slots(of: rank).enumerated() {
        #expect(placement.rank(of: PhysicalExpert(rawValue: slot)) == rank)
        #expect(placement.local(PhysicalExpert(rawValue: slot)).rawValue == local)
      }
    }
  }

  @Test func everyFaultAtOnce() {
    expectFaults(
      [.invalidValue, .invalidValue, .invalidValue, .invalidArgument],
      [
        "layer 3: slots without an expert: found 1", "9 in slot 3, -2 in slot 4", "stand in no slot: found 2, 3",
        "3 redundant",
      ]
    ) {
      _ = try ExpertPlacement(
        physicalToLogical: [0, -1, 1, 9, -2, 0, 1], expertCount: 4, ranks: 2, name: "layer 3")
    }
    expectFaults([.invalidValue], ["stand in no slot: found 0, 1"]) {
      _ = try ExpertPlacement(physicalToLogical: [], expertCount: 2, ranks: 2)
    }
    for (experts, ranks) in [(0, 1), (1, 0), (-1, 1), (1 << 25, 1)] {
      expectFaults([.invalidArgument]) {
        _ = try ExpertPlacement(physicalToLogical: [0], expertCount: experts, ranks: ranks)
      }
    }
  }

  /// The vectors of the published rule: tokens 0...9 over 3 replicas, and powers of two.
  @Test(arguments: [
    (3, [0, 0, 2, 2, 1, 0, 0, 2, 2, 1]), (2, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]), (4, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]),
    (1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  ])
  func replicaOfAToken(count: Int, expected: [Int]) throws {
    let placement = try ExpertPlacement.initial(expertCount: 1, redundant: count - 1, ranks: 1)
    let chosen = expected.indices.map { placement.slot(of: LogicalExpert(rawValue: 0), token: $0).rawValue }
    #expect(chosen == expected)
  }

  @Test func idsOfARouting() throws {
    let placement = try ExpertPlacement(physicalToLogical: [0, 1, 1, 2, 1, 0], expertCount: 3, ranks: 2)
    let routing = try Routing(topK: 2, ids: [1, 0, 1, 0, 2, -1, 1, 3], weights: Array(repeating: 1, count: 8))
    #expect(placement.physicalIDs(of: routing) == [1, 0, 1, 5, 3, -1, 4, -1])
  }
}
