// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEInspection

extension BalanceReport {
  /// The loads of ranks before and after, of layers × experts, and the placement of the layer that moves most.
  var picture: Picture {
    let loads = (before: rankLoads(before), after: rankLoads(after))
    var picture = Picture.rankLoads(
      "Experts on \(topology.rankCount) ranks",
      "\(policy), \(topology.slotCount) slots, \(trace.layers.count) layer(s)",
      before: loads.before, after: loads.after.count == loads.before.count ? loads.after : [])
    for part in [Picture.loadHeatmap("", layers: trace.layers, loads: trace.totals), placement].compactMap(\.self) {
      picture.legend += part.legend
      picture.figures += part.figures
    }
    return picture
  }

  private func rankLoads(_ placement: ModelPlacement) -> [Double] {
    let loads = zip(placement.placements, trace.totals).map { $0.rankLoads($1) }
    return (0..<placement.rankCount).map { rank in loads.reduce(0) { $0 + $1[rank] } }
  }

  /// nil where ranks have other numbers of slots than before, or than each other.
  private var placement: Picture? {
    let moves = migrations.map(\.transfers.count)
    guard let layer = moves.indices.max(by: { moves[$0] < moves[$1] }), after.slotCount == before.slotCount,
      after.slotCount.isMultiple(of: topology.rankCount), before.rankCount == after.rankCount
    else { return nil }
    let slots = after.slotCount / topology.rankCount
    var picture = Picture.placement(
      "", before: before.physicalToLogical[layer], after: after.physicalToLogical[layer],
      ranksPerNode: topology.rankCount / topology.nodeCount, slotsPerRank: slots,
      moves: migrations[layer].transfers.map { transfer in
        .init(
          from: transfer.sender * slots + transfer.from.rawValue, to: transfer.receiver * slots + transfer.to.rawValue,
          bytes: self.layer?.bytesPerExpert ?? 0)
      })
    picture.figures[0].heading = "Placement of layer \(trace.layers[layer]), before and after, and what moves"
    return picture
  }
}
