// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

@testable import MoE
import Testing

/// DeepSeek's policies against published vectors and a transcription of the published algorithm.
@Suite struct DeepSeekBalancerTests {
  static let example: [Double] = [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86]

  @Test func packing() {
    let packed = BalancedPacking.pack([8, 7, 6, 5, 4, 3], into: 3)
    #expect(packed.packs == [0, 1, 2, 2, 1, 0])
    #expect(packed.places == [0, 0, 0, 1, 1, 1])
    let single = BalancedPacking.pack([1, 9, 4], into: 3)
    #expect(single.packs == [0, 1, 2])
    #expect(single.places == [0, 0, 0])
  }

  @Test(arguments: [
    (DeepSeekBalancer.hierarchical, [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1]),
    (DeepSeekBalancer.global, [10, 6, 10, 7, 0, 2, 11, 4, 5, 9, 5, 4, 8, 3, 1, 1]),
  ])
  func publishedExample(balancer: DeepSeekBalancer, expected: [Int]) throws {
    let topology = try BalancingTopology(expertCount: 12, slots: 16, ranks: 8, nodes: 2, groups: 4)
    let placement = try #require(try balancer.placements(for: [Self.example], on: topology).first)
    #expect(placement.logical.map(\.rawValue) == expected)
  }

  @Test func preservedSlots() throws {
    let topology = try BalancingTopology(expertCount: 4, slots: 6, ranks: 3)
    let old = try ExpertPlacement(physicalToLogical: [0, 1, 2, 3, 0, 1], expertCount: 4, ranks: 3)
    let loads: [[Double]] = [[10, 40, 20, 30]]
    let global = try DeepSeekBalancer.global.placements(for: loads, on: topology, from: [old])[0]
    #expect(global.replicaCounts == [1, 2, 1, 2])
    #expect(global.logical.map(\.rawValue) == [1, 3, 2, 3, 1, 0])
    let preserved = try SlotPreservingBalancer().placements(for: loads, on: topology, from: [old])[0]
    #expect(preserved.logical.map(\.rawValue) == [3, 1, 2, 3, 0, 1])
  }

  /// Slot for slot, on random loads of up to 8 layers.
  @Test(arguments: 0..<10)
  func equalsTheTranscription(part: Int) throws {
    for seed in stride(from: part, to: BalancingCase.count, by: 10) {
      let test = try BalancingCase(seed: seed)
      let topology = test.topology
      for (balancer, groups, nodes) in [
        (DeepSeekBalancer.hierarchical, topology.groupCount, topology.nodeCount), (.global, 1, 1),
      ] {
        let expected = PublishedBalancer.rebalance(
          test.loads, replicas: topology.slotCount, groups: groups, nodes: nodes, gpus: topology.rankCount)
        let found = try balancer.placements(for: test.loads, on: topology)
        #expect(found.map { $0.logical.map(\.rawValue) } == expected, "seed \(seed), \(balancer.name), \(topology)")
      }
    }
  }

  /// Ranks hold what the policy below says, and no slot changes that needn't.
  @Test(arguments: 0..<40)
  func preservingOnlyReorders(seed: Int) throws {
    let test = try BalancingCase(seed: seed)
    let old = try DeepSeekBalancer.hierarchical.placements(for: test.loads, on: test.topology)
    let later = test.drifted(by: 0.3)
    let plain = try DeepSeekBalancer.hierarchical.placements(for: later, on: test.topology, from: old)
    let preserved = try SlotPreservingBalancer().placements(for: later, on: test.topology, from: old)
    for layer in old.indices {
      for rank in 0..<test.topology.rankCount {
        let experts = preserved[layer].experts(of: rank)
        #expect(experts.sorted() == plain[layer].experts(of: rank).sorted())
        let kept = zip(experts, old[layer].experts(of: rank)).count { $0 == $1 }
        let common = experts.reduce(into: Array(old[layer].experts(of: rank))) { rest, expert in
          if let index = rest.firstIndex(of: expert) { rest.remove(at: index) }
        }
        #expect(kept == experts.count - common.count)
      }
    }
  }
}
