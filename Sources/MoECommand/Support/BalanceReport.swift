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

extension StepCost {
  var text: String {
    func part(_ name: String, _ bytes: Double, _ seconds: Double) -> String {
      "\(name) \(BalanceReport.time(seconds)) (\(Format.bytes(Int(bytes))))"
    }
    return BalanceReport.time(seconds) + ": "
      + [
        part("dispatch", dispatchBytes, dispatchSeconds), part("compute", computeBytes, computeSeconds),
        part("combine", combineBytes, combineSeconds),
      ].joined(separator: ", ")
  }

  var object: JSONValue {
    [
      "dispatch_bytes": .number(dispatchBytes), "dispatch_seconds": .number(dispatchSeconds),
      "compute_bytes": .number(computeBytes), "compute_seconds": .number(computeSeconds),
      "combine_bytes": .number(combineBytes), "combine_seconds": .number(combineSeconds),
    ]
  }
}

/// What `moe balance --simulate` says of a trace on a placement.
struct ReplayReport {
  let trace: LoadTrace
  let placement: ModelPlacement
  let replay: PlacementReplay
  let cost: StepCost?

  var object: JSONValue {
    [
      "schema": 1, "command": "balance", "simulated": true, "steps": .integer(trace.steps.count),
      "ranks": .integer(placement.rankCount), "balancedness": .number(replay.balancedness),
      "worst_step_balancedness": .number(replay.stepBalancedness.min() ?? 1),
      "step_balancedness": .array(replay.stepBalancedness.map { .number($0) }),
      "rank_loads": .array(replay.meanLoads.map { .number($0) }),
      "rank_deviations": .array(replay.deviations.map { .number($0) }),
      "critical_load": .number(replay.criticalLoad), "step": cost?.object ?? .null,
      "step_seconds": cost.map { .number($0.seconds) } ?? .null,
    ]
  }

  var text: String {
    let worst = replay.stepBalancedness.indices.min { replay.stepBalancedness[$0] < replay.stepBalancedness[$1] } ?? 0
    let loads = replay.meanLoads
    let busiest = loads.indices.max { loads[$0] < loads[$1] } ?? 0
    var lines = [
      "replayed      \(trace.steps.count) step(s) of \(trace.layers.count) layer(s) on \(placement.rankCount) rank(s)",
      "balancedness  \(Format.fixed(replay.balancedness, 4)) (mean / max over ranks); worst step \(worst): "
        + Format.fixed(replay.stepBalancedness[worst], 4),
      "busiest rank  \(busiest): \(Format.short(loads[busiest])) ± \(Format.short(replay.deviations[busiest])) rows a "
        + "step, mean \(Format.short(loads.reduce(0, +) / Double(loads.count)))",
    ]
    if let cost { lines.append("step          " + cost.text) }
    return lines.joined(separator: "\n")
  }

  var picture: Picture {
    var picture = Picture.rankLoads(
      "A trace on \(placement.rankCount) ranks", "\(trace.steps.count) step(s), \(trace.layers.count) layer(s)",
      before: replay.meanLoads, deviations: (replay.deviations, []), unit: "rows a step")
    let heatmap = Picture.loadHeatmap("", layers: trace.layers, loads: trace.totals)
    picture.legend += heatmap.legend
    picture.figures += heatmap.figures
    return picture
  }
}
