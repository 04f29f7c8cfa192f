// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// From global ids to ranks and local slots.
@Suite struct ExpertMapTests {
  /// 10 experts on 4 ranks: the worked example of vLLM's rules.
  @Test func linear() throws {
    let placement = try PlacementStrategy.linear.placement(expertCount: 10, ranks: 4)
    let maps = (0..<4).map { ExpertMap(placement, rank: $0) }
    #expect(maps.map(\.localCount) == [3, 3, 2, 2])
    #expect(maps.map { $0.localToGlobal.first } == [0, 3, 6, 8])
    #expect(maps[1].globalToLocal == [-1, -1, -1, 0, 1, 2, -1, -1, -1, -1])
    #expect(maps[1].description == "0->3, 1->4, 2->5")
    #expect(maps[0].globalToPhysical == Array(0..<10))
  }

  @Test func roundRobin() throws {
    let placement = try PlacementStrategy.roundRobin.placement(expertCount: 10, ranks: 4)
    let maps = (0..<4).map { ExpertMap(placement, rank: $0) }
    #expect(maps.map(\.localToGlobal) == [[0, 4, 8], [1, 5, 9], [2, 6], [3, 7]])
    #expect(maps[1].globalToLocal == [-1, 0, -1, -1, -1, 1, -1, -1, -1, 2])
    #expect(maps[0].globalToPhysical == [0, 3, 6, 8, 1, 4, 7, 9, 2, 5])
    for map in maps {
      #expect(map.physicalToGlobal.map { map.globalToPhysical[Int($0)] } == Array(0..<10))
    }
  }

  @Test func masksAndSharedExperts() throws {
    let map = ExpertMap(try PlacementStrategy.linear.placement(expertCount: 5, ranks: 2), rank: 1)
    #expect(map.globalToLocal == [-1, -1, -1, 0, 1])
    #expect(map.mask() == [0, 0, 0, 1, 1, 0])
    #expect(map.globalToLocal(shared: 2) == [-1, -1, -1, 0, 1, 2, 3])
    #expect(map.mask(shared: 2) == [0, 0, 0, 1, 1, 1, 1, 0])
    let empty = ExpertMap(try PlacementStrategy.linear.placement(expertCount: 2, ranks: 3), rank: 2)
    #expect(empty.localCount == 0 && empty.mask() == [0, 0, 0] && empty.description.isEmpty)
  }

  /// With redundant experts global ids are slots, as in vLLM.
  @Test func redundant() throws {
    let placement = try PlacementStrategy.linear.placement(expertCount: 3, redundant: 3, ranks: 2)
    let map = ExpertMap(placement, rank: 1)
    #expect(map.globalToLocal == [-1, -1, -1, 0, 1, 2])
    #expect(map.physicalToGlobal == [0, 1, 2, 0, 1, 2])
    #expect(map.owner == [0, 0, 0, 1, 1, 1] && map.place == [0, 1, 2, 0, 1, 2])
  }

  @Test func whyNotRoundRobin() {
    typealias Conditions = PlacementStrategy.Conditions
    func reasons(_ conditions: Conditions) -> [String] {
      let (strategy, reasons) = PlacementStrategy.roundRobin.resolved(for: conditions)
      #expect(strategy == (reasons.isEmpty ? .roundRobin : .linear))
      return reasons
    }
    #expect(reasons(Conditions(groupCount: 8, ranks: 4)).isEmpty)
    for backend in ["deepep_low_latency", "nixl_ep"] {
      #expect(reasons(Conditions(groupCount: 8, ranks: 4, allToAllBackend: backend)).isEmpty)
    }
    let all = Conditions(
      groupCount: 1, redundantCount: 2, isBalanced: true, ranks: 1, allToAllBackend: "deepep_high_throughput")
    #expect(reasons(all).count == 5)
    #expect(reasons(all).last?.contains("deepep_high_throughput") == true)
    #expect(PlacementStrategy.linear.resolved(for: all).reasons.isEmpty)
    expectFault(.invalidArgument, "no replicas") {
      _ = try PlacementStrategy.roundRobin.placement(expertCount: 4, redundant: 4, ranks: 2)
    }
  }

  /// From round robin to linear and to other numbers of ranks: every map is the one that was made afresh.
  @Test func anotherGroup() throws {
    var map = ExpertMap(try PlacementStrategy.roundRobin.placement(expertCount: 10, ranks: 2), rank: 1)
    for (strategy, ranks) in [(PlacementStrategy.linear, 4), (.roundRobin, 3), (.linear, 1)] {
      map = ExpertMap(try strategy.placement(expertCount: 10, ranks: ranks), rank: min(1, ranks - 1))
      let expected = (0..<10).map { id in
        let local = map.placement.experts(of: map.rank).map(\.rawValue).firstIndex(of: id)
        return Int32(local ?? -1)
      }
      #expect(map.globalToLocal == expected)
      #expect(map.globalToPhysical.map { map.physicalToGlobal[Int($0)] } == Array(0..<10))
    }
    #expect(map.globalToLocal == Array(0..<10))
  }
}
