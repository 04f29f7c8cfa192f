// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
@testable import MoEInspection
import Tensors
import Testing

/// Files of placements, traces over placements, and what a step costs.
@Suite struct PlacementFileTests {
  private func placement() throws -> ModelPlacement {
    try ModelPlacement(
      physicalToLogical: [[0, 1, 2, 0], [2, 2, 1, 0]], layers: [3, 4], expertCount: 3, ranks: 2)
  }

  @Test(arguments: TraceFormat.allCases)
  func readsWhatItWrites(format: TraceFormat) throws {
    try withFolder { folder in
      let path = folder + (format == .trtllm ? "/p.yaml" : "/p.json")
      try AtomicFile.write(placement().text(as: format), to: path)
      let read = try ModelPlacement(opening: path, ranks: 2)
      #expect(try read.placements == placement().placements)
      #expect(read.layers == (format == .moe || format == .trtllm ? [3, 4] : [0, 1]))
      if format == .moe {
        #expect(try ModelPlacement(opening: path) == read)
      } else {
        expectFault("--ranks") { try ModelPlacement(opening: path) }
      }
    }
  }

  @Test func safetensorsMap() throws {
    try withFolder { folder in
      try SafetensorsFile.write(
        tensors: [(TensorDeclaration("physical_to_logical_map", .u8, [2, 4]), [0, 1, 2, 0, 2, 2, 1, 0])],
        to: folder + "/p.safetensors")
      #expect(try ModelPlacement(opening: folder + "/p.safetensors", ranks: 2).placements == placement().placements)
    }
  }

  @Test(arguments: [
    (
      "p.json", #"{"physical_to_logical": [[0, -1, 2], [0, 1, 7]], "experts": 3, "ranks": 1}"#,
      [
        "layer 0: slots without an expert: found 1", "layer 0: experts that stand in no slot: found 1", "7 in slot 2",
        "layer 1: experts that stand in no slot: found 2",
      ]
    ),
    ("p.json", #"{"physical_to_logical": [[0, 1], [0]], "ranks": 1}"#, ["different numbers of slots"]),
    ("p.json", #"{"physical_to_logical": [[0, 1.5]], "ranks": 1}"#, ["no placement"]),
    ("p.json", #"{"physical_to_logical": [], "ranks": 1}"#, ["another number of layers"]),
    ("p.json", #"{"physical_to_logical": [[0, 9223372036854775807]], "ranks": 1}"#, ["no such placement"]),
    ("p.json", #"{"map": 1}"#, ["no placement"]), ("p.yaml", "num_slots: 4\n", ["no placement"]),
    ("p.yaml", "initial_global_assignments:\n  3: [0, x]\n", ["can't be read"]),
    ("p.yaml", "initial_global_assignments:\n  3\n", ["can't be read"]),
  ])
  func malformed(name: String, text: String, messages: [String]) throws {
    try withFolder { folder in
      try Data(text.utf8).write(to: URL(filePath: folder + "/" + name))
      let error = expectFault(messages[0]) { try ModelPlacement(opening: folder + "/" + name, ranks: 1) }
      for message in messages { #expect(error.contains(message), "\(error)") }
    }
  }

  @Test func replay() throws {
    let trace = try LoadTrace(
      layers: [3, 4], layerCount: 2, expertCount: 3, steps: [[2, 4, 6, 0, 2, 8], [0, 0, 0, 0, 0, 0]])
    let replay = try PlacementReplay(trace, on: placement())
    // Layer 3: ranks have 1 + 4 and 6 + 1; layer 4: 8 and 2.
    #expect(replay.rankLoads == [[13, 9], [0, 0]])
    #expect(replay.criticalLoad == 15)
    #expect(replay.balancedness == 11.0 / 15)
    #expect(replay.stepBalancedness == [11.0 / 15, 1])
    #expect(replay.meanLoads == [6.5, 4.5])
    #expect(replay.deviations == [6.5, 4.5])
    let other = try LoadTrace(layerCount: 1, expertCount: 4, steps: [[1, 1, 1, 1]])
    let error = expectFault("other layers") { try PlacementReplay(other, on: placement()) }
    #expect(error.contains("other experts"))
  }

  /// One expert on each of two ranks, one expert for a token: by hand.
  @Test func costByHand() throws {
    let placement = try ExpertPlacement.initial(expertCount: 2, ranks: 2)
    let cluster = ClusterModel(computeRate: 6000, memoryRate: 1000, linkRate: 100, latency: 1)
    let layer = LayerCost(
      hiddenSize: 10, intermediateSize: 5, topK: 1, bytesPerExpert: 500, dispatchBytes: 2, combineBytes: 4)
    let cost = cluster.cost(of: [30, 10], on: placement, layer)
    // Half of the busiest rank's 30 tokens come from the other rank.
    #expect(cost.dispatchBytes == 300)
    #expect(cost.dispatchSeconds == 4)
    #expect(cost.combineBytes == 600)
    #expect(cost.combineSeconds == 7)
    // 30 rows of 300 operations beat half a second of reading.
    #expect(cost.computeSeconds == 1.5)
    #expect(cost.computeBytes == 500)
    #expect(cost.seconds == 12.5)
    let single = cluster.cost(of: [30, 10], on: try .initial(expertCount: 2), layer)
    #expect(single.dispatchSeconds == 0)
    #expect(cluster.cost(of: [0, 0], on: placement, layer) == StepCost())
    let links = [LinkTraffic(sender: 0, receiver: 1, bytes: 200), LinkTraffic(sender: 2, receiver: 1, bytes: 300)]
    #expect(cluster.seconds(for: links) == 6)
    #expect(cluster.seconds(for: []) == 0)
  }

  /// The expected number of ranks that a token visits, against counted ones.
  @Test func visitsAreThoseOfRoutedTokens() throws {
    let (experts, topK, tokens, ranks) = (64, 8, 4000, 8)
    let router = try SimulatedRouter(expertCount: experts, topK: topK, distribution: .uniform, seed: 3)
    let routing = router.route(tokenCount: tokens)
    let placement = try ExpertPlacement.initial(expertCount: experts, ranks: ranks)
    var loads = Array(repeating: 0.0, count: experts)
    for id in routing.ids { loads[Int(id)] += 1 }
    let visits = (0..<tokens).reduce(0) { sum, token in
      sum + Set(routing.slots(of: token).map { routing.ids[$0] / Int32(experts / ranks) }).count
    }
    let cluster = ClusterModel(computeRate: 1, memoryRate: 1, linkRate: 1, latency: 0)
    let layer = LayerCost(
      hiddenSize: 1, intermediateSize: 1, topK: topK, bytesPerExpert: 1, dispatchBytes: 1, combineBytes: 1)
    let cost = cluster.cost(of: loads, on: placement, layer)
    let counted = Double(visits) / Double(ranks) * (1 - 1 / Double(ranks))
    #expect(abs(cost.dispatchBytes / counted - 1) < 0.08)
  }
}
