// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE

/// Loads of a few layers and a topology, made from a seed.
struct BalancingCase {
  /// Release mode tries all of them; debug mode the first, and fewer where each takes long.
  #if DEBUG
    static let (count, slowCount) = (200, 8)
  #else
    static let (count, slowCount) = (1000, 1000)
  #endif

  let topology: BalancingTopology
  /// `[layers][experts]`
  let loads: [[Double]]
  private let generator: SplitMix64

  /// 1 to 8 layers, 8 to 256 experts, 2 to 64 ranks; groups and nodes that fit in about half of the cases.
  init(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    func pick(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    let groups = 1 << pick(0...3)
    let experts = groups * pick(max(1, 8 / groups)...(256 / groups))
    let nodes = 1 << pick(0...3)
    let ranks = nodes * pick(max(1, 2 / nodes)...(64 / nodes))
    let redundant = (ranks - experts % ranks) % ranks + ranks * pick(0...3)
    topology = try BalancingTopology(
      expertCount: experts, slots: experts + redundant, ranks: ranks, nodes: nodes, groups: groups)
    let layers = pick(1...8)
    // Few different whole numbers give many ties; powers of a normal draw give a few experts most of the load.
    let isTied = pick(0...2) == 0
    let skew = Double(pick(1...4))
    loads = (0..<layers).map { _ in
      (0..<experts).map { _ in
        isTied ? Double(pick(0...3)) : (1000 * (skew * 0.5 * generator.normal()).exponential).rounded() / 8
      }
    }
    self.generator = generator
  }

  /// The loads of a later time: each expert's is a little more or less.
  func drifted(by deviation: Double) -> [[Double]] {
    var generator = generator
    return loads.map { $0.map { $0 * (deviation * generator.normal()).exponential } }
  }
}
