// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEInspection

/// What `moe balance` says of a new placement.
struct BalanceReport {
  let policy: String
  let topology: BalancingTopology
  let trace: LoadTrace
  let before: ModelPlacement
  let after: ModelPlacement
  /// Experts between ranks, `bytes` counting experts.
  let traffic: [LinkTraffic]
  let layer: LayerCost?
  let costs: (before: StepCost, after: StepCost)?
  let moveSeconds: Double
  let replays: (before: PlacementReplay, after: PlacementReplay)?

  /// - Throws: `invalidArgument` where the replayed trace is of other layers or experts.
  init(
    policy: String, topology: BalancingTopology, trace: LoadTrace, before: ModelPlacement, after: ModelPlacement,
    cluster: ClusterModel, layer: LayerCost?, replayed: LoadTrace?
  ) throws(MoEError) {
    (self.policy, self.topology, self.trace, self.before, self.after) = (policy, topology, trace, before, after)
    self.layer = layer
    var migrations: [Migration] = []
    for (old, new) in zip(before.placements, after.placements) { migrations.append(try Migration(from: old, to: new)) }
    traffic = migrations.traffic(bytesPerExpert: 1)
    moveSeconds = layer.map { cluster.seconds(for: migrations.traffic(bytesPerExpert: $0.bytesPerExpert)) } ?? 0
    let timed = replayed ?? trace
    costs = layer.map { (timed.cost(on: before, cluster, $0), timed.cost(on: after, cluster, $0)) }
    if let replayed {
      replays = (try PlacementReplay(replayed, on: before), try PlacementReplay(replayed, on: after))
    } else {
      replays = nil
    }
  }

  private var balancedness: (before: Double, after: Double) {
    (
      Balancedness.of(before.placements, loads: trace.totals), Balancedness.of(after.placements, loads: trace.totals)
    )
  }
  private var movedExperts: Int { traffic.reduce(0) { $0 + $1.bytes } }

  /// Steps after which moving has cost less time than it has saved; nil where it saves none, or times are unknown.
  private var paybackSteps: Int? {
    guard let costs, costs.before.seconds > costs.after.seconds else { return nil }
    return Int(min(1e15, (moveSeconds / (costs.before.seconds - costs.after.seconds)).rounded(.up)))
  }

  // MARK: - For programs

  /// What stands in the file of the placement besides it.
  var figures: [String: JSONValue] {
    [
      "policy": .string(policy), "nodes": .integer(topology.nodeCount), "groups": .integer(topology.groupCount),
      "slots": .integer(topology.slotCount), "balancedness_before": .number(balancedness.before),
      "balancedness_after": .number(balancedness.after),
    ]
  }

  var object: JSONValue {
    var members = after.members.merging(figures) { _, other in other }
    members["command"] = "balance"
    members["layer_balancedness"] = .array(
      zip(zip(before.placements, after.placements), trace.totals).map { placements, loads in
        [
          "before": .number(placements.0.balancedness(loads)), "after": .number(placements.1.balancedness(loads)),
        ]
      })
    members["moved_experts"] = .integer(movedExperts)
    members["bytes_per_expert"] = layer.map { .integer($0.bytesPerExpert) } ?? .null
    members["moves"] = .array(
      traffic.map { link in
        [
          "from": .integer(link.sender), "to": .integer(link.receiver), "experts": .integer(link.bytes),
          "bytes": layer.map { .integer(link.bytes * $0.bytesPerExpert) } ?? .null,
        ]
      })
    members["step_seconds_before"] = costs.map { .number($0.before.seconds) } ?? .null
    members["step_seconds_after"] = costs.map { .number($0.after.seconds) } ?? .null
    members["step_before"] = costs?.before.object ?? .null
    members["step_after"] = costs?.after.object ?? .null
    members["move_seconds"] = layer == nil ? .null : .number(moveSeconds)
    members["payback_steps"] = paybackSteps.map { .integer($0) } ?? .null
    if let replays {
      members["simulated_balancedness_before"] = .number(replays.before.balancedness)
      members["simulated_balancedness_after"] = .number(replays.after.balancedness)
    }
    return .object(members)
  }

  // MARK: - For people

  var text: String {
    var lines = [
      "policy        \(policy): \(topology.expertCount) experts of \(trace.layers.count) layer(s) in "
        + "\(topology.slotCount) slots on \(topology.rankCount) rank(s) of \(topology.nodeCount) node(s)",
      "balancedness  \(Format.fixed(balancedness.before, 4)) → \(Format.fixed(balancedness.after, 4)) (mean / max over "
        + "ranks)",
    ]
    if let replays {
      lines.append(
        "replayed      \(Format.fixed(replays.before.balancedness, 4)) → "
          + "\(Format.fixed(replays.after.balancedness, 4)) on the other trace")
    }
    lines.append(movesLine)
    if let costs {
      lines.append("step          " + costs.before.text)
      lines.append("           →  " + costs.after.text)
      if moveSeconds > 0 {
        let payback = paybackSteps.map { "paid back after \($0) step(s)" } ?? "never paid back"
        lines.append("moving        \(Self.time(moveSeconds)), \(payback)")
      }
    }
    if !traffic.isEmpty { lines += ["", linkTable] }
    return lines.joined(separator: "\n")
  }

  private var movesLine: String {
    guard movedExperts > 0 else { return "moves         none between ranks" }
    let bytes =
      layer.map { ", \(Format.bytes(movedExperts * $0.bytesPerExpert))" } ?? " (--shape gives bytes and times)"
    return "moves         \(movedExperts) expert(s) over \(traffic.count) link(s)\(bytes)"
  }

  /// The links that carry the most.
  private var linkTable: String {
    var table = TextTable(["from rank", "to rank", "experts"] + (layer == nil ? [] : ["bytes"]))
    let shown = traffic.sorted { ($1.bytes, $0.sender, $0.receiver) < ($0.bytes, $1.sender, $1.receiver) }.prefix(10)
    for link in shown {
      table.append(
        ["\(link.sender)", "\(link.receiver)", "\(link.bytes)"]
          + (layer.map { [Format.bytes(link.bytes * $0.bytesPerExpert)] } ?? []))
    }
    let rest = traffic.count - shown.count
    return table.text + (rest > 0 ? "\nand \(rest) more link(s); --json lists all" : "")
  }

  var picture: Picture {
    let loads = (before: rankLoads(before), after: rankLoads(after))
    var picture = Picture.rankLoads(
      "Experts on \(topology.rankCount) ranks",
      "\(policy), \(topology.slotCount) slots, \(trace.layers.count) layer(s)",
      before: loads.before, after: loads.after.count == loads.before.count ? loads.after : [])
    let heatmap = Picture.loadHeatmap("", layers: trace.layers, loads: trace.totals)
    picture.legend += heatmap.legend
    picture.figures += heatmap.figures
    return picture
  }

  private func rankLoads(_ placement: ModelPlacement) -> [Double] {
    let loads = zip(placement.placements, trace.totals).map { $0.rankLoads($1) }
    return (0..<placement.rankCount).map { rank in loads.reduce(0) { $0 + $1[rank] } }
  }

  static func time(_ seconds: Double) -> String {
    seconds < 1e-3
      ? "\(Format.short(seconds * 1e6)) µs"
      : seconds < 1 ? "\(Format.short(seconds * 1e3)) ms" : "\(Format.short(seconds)) s"
  }
}
