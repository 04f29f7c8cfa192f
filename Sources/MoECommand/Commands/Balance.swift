// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// Experts placed by their loads, or a trace replayed over a placement.
struct Balance: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Place experts on ranks by their loads, and say what that gains and what has to move.",
    discussion: """
      LOADS is a trace, a safetensors file with 'loads' [layers, experts], a file of routed ids, or the dump of another \
      engine (docs/traces.md); 'uniform' and 'zipf:S' are drawn for --shape. Balancedness is the mean load of a rank over \
      the greatest: 1 is even.

      --simulate replays a trace: over the placement made from LOADS, or over that of --from.

      Bytes and times need --shape; docs/balancing.md says how they are estimated.
      """)

  @Argument(help: "What the placement is made from.", completion: .file())
  var loads: String?

  @Option(help: ArgumentHelp("Expert-parallel ranks.", valueName: "count"))
  var ranks: Int?

  @Option(help: ArgumentHelp("Nodes that the ranks are on, as many on each.", valueName: "count"))
  var nodes = 1

  @Option(help: ArgumentHelp("Groups of experts that the router chooses between.", valueName: "count"))
  var groups = 1

  @Option(help: ArgumentHelp("Slots of all ranks together.", valueName: "count"))
  var slots: Int?

  @Option(help: ArgumentHelp("Slots beyond one for each expert.", valueName: "count"))
  var redundant: Int?

  @Option(
    help: ArgumentHelp(
      "One of \(BalancerRegistry.standard.names.joined(separator: ", ")).", valueName: "name"),
    completion: .list(BalancerRegistry.standard.names))
  var policy = BalancerRegistry.standard.names[0]

  @Option(help: ArgumentHelp("The placement now; the initial one when absent.", valueName: "file"), completion: .file())
  var from: String?

  @Option(help: ArgumentHelp("A trace to replay.", valueName: "trace"), completion: .file())
  var simulate: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("Where the placement goes.", valueName: "file"), completion: .file())
  var output: String?

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp("The placement's format: \(TraceFormat.names).", valueName: "format"))
  var format = TraceFormat.moe

  @OptionGroup(title: "Routed ids") var reading: LoadOptions

  @OptionGroup(title: "Bytes and times") var cluster: ClusterOptions

  @OptionGroup(title: "Loads of ranks, and of layers × experts") var pictures: PictureOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard loads != nil || simulate != nil else { throw ValidationError("give LOADS or --simulate") }
    if slots != nil && redundant != nil { throw ValidationError("--slots and --redundant exclude each other") }
    for (name, count) in [("slots", slots), ("redundant", redundant)] {
      if let count, !(0...BalancingTopology.largestSlotCount).contains(count) {
        throw ValidationError("--\(name) must lie between 0 and \(BalancingTopology.largestSlotCount)")
      }
    }
    if loads == nil {
      if from == nil && ranks == nil { throw ValidationError("--simulate alone needs --from or --ranks") }
      if output != nil { throw ValidationError("--output needs LOADS") }
    } else if ranks == nil {
      throw ValidationError("LOADS need --ranks")
    }
  }

  func run() throws {
    if let loads {
      try balance(loads)
    } else if let simulate {
      let trace = try open(simulate)
      let current = try self.current(of: trace, ranks: ranks ?? 1)
      let placement = try current ?? initial(of: trace, try topology(of: trace, ranks: ranks ?? 1))
      if let ranks, ranks != placement.rankCount {
        throw MoEError(
          .invalidArgument, "the placement is of other ranks", file: from, expected: "\(ranks)",
          found: "\(placement.rankCount)")
      }
      let report = ReplayReport(
        trace: trace, placement: placement, replay: try PlacementReplay(trace, on: placement),
        cost: try cluster.layer().map { trace.cost(on: placement, cluster.cluster, $0) })
      print(json ? report.object.serialized(pretty: true) : report.text)
      try pictures.draw(report.picture, isQuiet: json)
    }
  }

  private func balance(_ source: String) throws {
    // All that can be wrong with the request at once, before anything is written.
    var faults: [Fault] = []
    let balancer = collect(&faults, try BalancerRegistry.standard.balancer(named: policy))
    let trace = collect(&faults, try open(source))
    let replayed = collect(&faults, try replayedTrace())
    var topology: BalancingTopology?
    var current: ModelPlacement?
    if let trace {
      topology = collect(&faults, try self.topology(of: trace, ranks: ranks!))
      current = collect(&faults, try self.current(of: trace, ranks: ranks!)) ?? nil
    }
    if let balancer, let topology { faults += balancer.faults(of: topology) }
    guard faults.isEmpty, let balancer, let trace, let topology else { throw MoEError(faults) }

    let before = try current ?? initial(of: trace, topology)
    let after = ModelPlacement(
      layers: trace.layers,
      try balancer.placements(for: trace.totals, on: topology, from: before.placements))
    let report = try BalanceReport(
      policy: policy, topology: topology, trace: trace, before: before, after: after, cluster: cluster.cluster,
      layer: cluster.layer(), replayed: replayed ?? nil)
    if let output {
      try AtomicFile.write(after.text(as: format, more: report.figures), to: output)
    }
    print(json ? report.object.serialized(pretty: true) : report.text)
    try pictures.draw(report.picture, isQuiet: json)
  }

  // MARK: - Input

  private func collect<Value>(
    _ faults: inout [Fault], _ body: @autoclosure () throws(MoEError) -> Value
  ) -> Value? {
    do throws(MoEError) { return try body() } catch { faults += error.faults }
    return nil
  }

  private func open(_ source: String) throws(MoEError) -> LoadTrace {
    let shape = try cluster.shape.map { text throws(MoEError) in try ExpertShape(parsing: text) }
    let trace = try reading.open(source, shape: shape, tokenCount: cluster.tokens ?? 128 * max(1, ranks ?? 1))
    guard let tokens = cluster.tokens, let topK = shape?.topK ?? trace.topK else { return trace }
    return try trace.scaled(toStepLoad: Double(tokens * topK))
  }

  private func replayedTrace() throws(MoEError) -> LoadTrace? {
    guard let simulate else { return nil }
    return try open(simulate)
  }

  private func topology(of trace: LoadTrace, ranks: Int) throws(MoEError) -> BalancingTopology {
    try BalancingTopology(
      expertCount: trace.expertCount, slots: slots ?? trace.expertCount + (redundant ?? 0), ranks: ranks, nodes: nodes,
      groups: groups)
  }

  private func current(of trace: LoadTrace, ranks: Int) throws(MoEError) -> ModelPlacement? {
    guard let from else { return nil }
    let placement = try ModelPlacement(opening: from, expertCount: trace.expertCount, ranks: ranks)
    try trace.validate(placement)
    return placement
  }

  private func initial(of trace: LoadTrace, _ topology: BalancingTopology) throws(MoEError) -> ModelPlacement {
    let placement = try topology.initialPlacement()
    return ModelPlacement(layers: trace.layers, trace.layers.map { _ in placement })
  }
}
