// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A plain transcription of DeepSeek's published `eplb.py`, function by function and for all layers at once, with sums in
/// Float64 and stable sorts. It is written to be held against the Python, not to be fast.
enum PublishedBalancer {
  typealias Matrix<Element> = [[Element]]

  /// `rebalance_experts`: the map from physical to logical experts, `[layers][replicas]`.
  static func rebalance(
    _ weight: Matrix<Double>, replicas: Int, groups: Int, nodes: Int, gpus: Int
  ) -> Matrix<Int> {
    groups % nodes == 0
      ? hierarchical(weight, physical: replicas, groups: groups, nodes: nodes, gpus: gpus)
      : hierarchical(weight, physical: replicas, groups: 1, nodes: 1, gpus: gpus)
  }

  static func balancedPacking(_ weight: Matrix<Double>, packs: Int) -> (pack: Matrix<Int>, rank: Matrix<Int>) {
    let groups = weight[0].count
    precondition(groups % packs == 0)
    let groupsPerPack = groups / packs
    if groupsPerPack == 1 {
      return (weight.map { _ in Array(0..<groups) }, weight.map { _ in Array(repeating: 0, count: groups) })
    }
    var packIndex = weight.map { _ in Array(repeating: -1, count: groups) }
    var rankInPack = packIndex
    for (layer, row) in weight.enumerated() {
      var packWeights = Array(repeating: 0.0, count: packs)
      var packItems = Array(repeating: 0, count: packs)
      // Swift's sort is stable.
      for group in (0..<groups).sorted(by: { row[$0] > row[$1] }) {
        let pack = (0..<packs).filter { packItems[$0] < groupsPerPack }.min { packWeights[$0] < packWeights[$1] }!
        packIndex[layer][group] = pack
        rankInPack[layer][group] = packItems[pack]
        packWeights[pack] += row[group]
        packItems[pack] += 1
      }
    }
    return (packIndex, rankInPack)
  }

  static func replicateExperts(_ weight: Matrix<Double>, physical: Int) -> (phy2log: Matrix<Int>, logcnt: Matrix<Int>) {
    let logical = weight[0].count
    precondition(physical >= logical)
    var phy2log = weight.map { _ in Array(0..<physical) }
    var logcnt = weight.map { _ in Array(repeating: 1, count: logical) }
    for slot in logical..<physical {
      for (layer, row) in weight.enumerated() {
        let shares = zip(row, logcnt[layer]).map { $0 / Double($1) }
        let redundant = shares.firstIndex(of: shares.max()!)!
        phy2log[layer][slot] = redundant
        logcnt[layer][redundant] += 1
      }
    }
    return (phy2log, logcnt)
  }

  static func inverse(_ permutations: Matrix<Int>) -> Matrix<Int> {
    permutations.map { row in
      var inverse = row
      for (index, value) in row.enumerated() { inverse[value] = index }
      return inverse
    }
  }

  static func gather<Element>(_ matrix: Matrix<Element>, _ indices: Matrix<Int>) -> Matrix<Element> {
    zip(matrix, indices).map { row, indices in indices.map { row[$0] } }
  }

  static func hierarchical(
    _ weight: Matrix<Double>, physical: Int, groups: Int, nodes: Int, gpus: Int
  ) -> Matrix<Int> {
    let (layers, logical) = (weight.count, weight[0].count)
    precondition(logical % groups == 0 && groups % nodes == 0 && gpus % nodes == 0 && physical % gpus == 0)
    let (groupSize, groupsPerNode, perGPU) = (logical / groups, groups / nodes, physical / gpus)

    // Step 1: pack groups to nodes.
    let tokensPerGroup = weight.map { row in
      (0..<groups).map { group in row[group * groupSize..<(group + 1) * groupSize].reduce(0, +) }
    }
    let packed = balancedPacking(tokensPerGroup, packs: nodes)
    let log2mlog = (0..<layers).map { layer in
      (0..<logical).map { expert in
        let group = expert / groupSize
        return (packed.pack[layer][group] * groupsPerNode + packed.rank[layer][group]) * groupSize + expert % groupSize
      }
    }
    let mlog2log = inverse(log2mlog)

    // Step 2: construct redundant experts within nodes; a row for each layer and node.
    let perNode = logical / nodes
    let tokensPerMlog = gather(weight, mlog2log).flatMap { row in
      (0..<nodes).map { Array(row[$0 * perNode..<($0 + 1) * perNode]) }
    }
    let (phy2mlog, mlogcnt) = replicateExperts(tokensPerMlog, physical: physical / nodes)

    // Step 3: pack physical experts to GPUs.
    let shares = zip(tokensPerMlog, mlogcnt).map { row, counts in zip(row, counts).map { $0 / Double($1) } }
    let tokensPerPhy = gather(shares, phy2mlog)
    let gpuPacks = balancedPacking(tokensPerPhy, packs: gpus / nodes)
    let phy2pphy = zip(gpuPacks.pack, gpuPacks.rank).map { packs, ranks in zip(packs, ranks).map { $0 * perGPU + $1 } }
    let pphy2mlog = gather(phy2mlog, inverse(phy2pphy))
    let joined = (0..<layers).map { layer in
      (0..<nodes).flatMap { node in pphy2mlog[layer * nodes + node].map { $0 + node * perNode } }
    }
    return gather(mlog2log, joined)
  }
}
