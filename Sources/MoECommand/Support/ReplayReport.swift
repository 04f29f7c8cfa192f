// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEInspection

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
