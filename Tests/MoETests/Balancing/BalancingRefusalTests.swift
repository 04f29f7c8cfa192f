// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// What balancers refuse.
@Suite struct BalancingRefusalTests {
  @Test func topologies() {
    expectFaults(
      [.invalidArgument, .invalidArgument],
      ["16 slots, 4 of them redundant", "12 (0 redundant) or 18 (6 redundant)", "multiple of 4"]
    ) {
      _ = try BalancingTopology(expertCount: 12, slots: 16, ranks: 6, nodes: 4)
    }
    expectFaults([.invalidArgument], ["at least 12", "16 slots are the fewest"]) {
      _ = try BalancingTopology(expertCount: 12, slots: 8, ranks: 8)
    }
    expectFaults([.invalidArgument, .invalidArgument, .invalidArgument], ["experts", "ranks", "groups"]) {
      _ = try BalancingTopology(expertCount: 0, slots: 8, ranks: -1, groups: 1 << 30)
    }
  }

  @Test func groupsThatDontDivide() throws {
    let topology = try BalancingTopology(expertCount: 12, slots: 16, ranks: 8, nodes: 2, groups: 8)
    for balancer in [DeepSeekBalancer.hierarchical, SlotPreservingBalancer(), LeastMoveBalancer()]
      as [any ExpertLoadBalancer]
    {
      expectFaults([.invalidArgument], ["multiple of 8"]) {
        _ = try balancer.placements(for: [Array(repeating: 1, count: 12)], on: topology)
      }
    }
    #expect(try DeepSeekBalancer.global.placements(for: [Array(repeating: 1, count: 12)], on: topology).count == 1)
  }

  @Test func loads() throws {
    let topology = try BalancingTopology(expertCount: 3, slots: 4, ranks: 2, nodes: 2, groups: 2)
    expectFaults(
      [.invalidValue, .invalidArgument, .invalidValue, .invalidValue, .invalidArgument, .invalidArgument],
      ["layer 0: 1 load(s)", "found nan", "layer 1: loads of another number of experts", "found -1.0", "too great"]
    ) {
      _ = try DeepSeekBalancer.hierarchical.placements(
        for: [[1, .nan, 2], [1, 2], [-1, 2, 3], [1e308, 1e308, 1e308]], on: topology,
        from: [ExpertPlacement.initial(expertCount: 3, redundant: 1, ranks: 2)])
    }
    expectFaults([.invalidArgument], ["of other experts"]) {
      let plain = try BalancingTopology(expertCount: 3, slots: 4, ranks: 2)
      _ = try LeastMoveBalancer().placements(
        for: [[1, 2, 3]], on: plain, from: [ExpertPlacement.initial(expertCount: 4, ranks: 2)])
    }
  }

  @Test func policies() throws {
    #expect(
      BalancerRegistry.standard.names == ["deepseek-hierarchical", "deepseek-global", "slot-preserving", "least-move"])
    expectFaults([.invalidArgument], ["least-move", "found best"]) {
      _ = try BalancerRegistry.standard.balancer(named: "best")
    }
  }
}
