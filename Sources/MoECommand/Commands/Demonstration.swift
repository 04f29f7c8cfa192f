// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEInspection
import Tensors

/// `moe run` without files: load, route, run, check against the reference, and print what it took.
struct Demonstration {
  let options: BackendOptions
  let layer: Int?
  let json: Bool

  static let tokenCounts = [1, 8, 64, 512]
  /// Tokens of each batch that the reference computes too.
  static let sampleCount = 16

  /// On two layers of a model small enough for any machine.
  func runOnSynthetic() throws {
    try options.openDevice()
    let preset = ModelPreset(named: "Granite-3-1B-A400M")!
    let model = try SyntheticModel(preset, layerCount: 2)
    try Folder.withTemporary { folder in
      let line = ProgressLine("making \(preset.name)")
      let start = now()
      try model.write(to: folder, seed: 1) { line.show(bytes: $0, of: $1) }
      line.finish()
      try run(
        folder,
        made:
          "\(preset.name), 2 layers, \(Format.bytes(model.byteCount)) in \(Format.fixed(now() - start, 1)) s (synthetic)"
      )
    }
  }

  func run(_ checkpoint: String, made: String?) throws {
    try options.openDevice()
    let model = try MoEModel(opening: checkpoint, layers: layer.map { [$0] })
    for note in model.notes { Console.note(note) }
    // Two layers in turn, so that one token's experts come from memory and not from a cache.
    let layers = Array(model.layers.prefix(2))
    try run(model, layers, made: made, on: try options.make())
  }

  private func run(_ model: MoEModel, _ plans: [MoEModel.Layer], made: String?, on backend: some Backend) throws {
    let line = ProgressLine("loading")
    let start = now()
    try options.announce(plans, on: backend)
    let layers = try plans.map { plan in
      try MoELayer(plan, of: model, on: backend, weightType: options.weightType) {
        line.show(bytes: $0.bytesRead, of: $0.bytesToRead)
      }
    }
    line.finish()
    let loadSeconds = now() - start
    let loads = try plans.map { try LoadPlan($0.experts, on: backend, weightType: options.weightType) }
    let bytes = loads.reduce(0) { $0 + $1.bytesToRead }
    let reference = try MoELayer(plans[0], of: model, on: options.truth(), weightType: options.weightType)
    let timed = backend as? any TimedBackend
    let specification = loads[0].layout.specification
    let meter: any CeilingMeasuring =
      try timed?.makeMeter(for: specification) ?? CeilingMeter(options.cpu(), for: specification)
    try meter.measure()
    var rows: [Row] = []
    for tokenCount in Self.tokenCounts {
      rows.append(try measure(layers, plan: plans[0], layout: loads[0].layout, tokenCount, reference))
    }
    try meter.measure()
    let ceilings = meter.ceilings
    let worst = rows.map(\.error).max()!
    if json {
      print(object(model, plans[0], backend.name, loadSeconds, bytes, ceilings, rows).serialized(pretty: true))
    } else {
      print(
        text(
          model, plans, made: made, machine: try timed?.machine().text ?? Processor.model,
          loaded:
            "\(plans.count) layer(s), \(Format.bytes(bytes)) in \(Format.short(loadSeconds)) s, \(Format.rate(Double(bytes) / loadSeconds))",
          ceilings, rows))
    }
    try Accuracy.require(worst, of: backend.name, options.precision)
  }
}

// MARK: - Measuring

extension Demonstration {
  struct Row {
    var tokenCount: Int
    var seconds: Double
    var work: Workload
    /// Relative root-mean-square error of the sampled tokens against Float64.
    var error: Double
  }

  private func measure<B: Backend>(
    _ layers: [MoELayer<B>], plan: MoEModel.Layer, layout: Layout, _ tokenCount: Int,
    _ reference: MoELayer<ReferenceBackend>
  ) throws -> Row {
    let batches = (0..<(tokenCount < 64 ? 16 : 2)).map { batch in
      RandomValues.normal(count: tokenCount * plan.hiddenSize, seed: UInt64(tokenCount * 100 + batch))
    }
    let tokenIDs = plan.gate.hashTable.map { table in
      (0..<tokenCount).map { Int32($0 % table.shape[0]) }
    }
    let input = MoEInput(tokenIDs: tokenIDs)
    let first = try layers[0].forward(batches[0], input)
    var best = Double.infinity
    let end = now() + 0.3
    var call = 0
    while call < 3 || now() < end {
      let start = now()
      _ = try layers[call % layers.count].forward(batches[call % batches.count], input)
      best = min(best, now() - start)
      call += 1
    }
    let work = Workload(first.routing.withoutZeroExperts(plan), layout: layout)
    return Row(
      tokenCount: tokenCount, seconds: best, work: work,
      error: try error(of: first, batches[0], tokenIDs, plan, reference))
  }

  private func error(
    of output: MoEOutput, _ hidden: [Float], _ tokenIDs: [Int32]?, _ plan: MoEModel.Layer,
    _ reference: MoELayer<ReferenceBackend>
  ) throws -> Double {
    let width = plan.hiddenSize
    // Where tokens share a scale, those of a sample would have another one.
    let isWhole = options.precision == .declared && plan.specification.activations.dependsOnBatch
    let count = isWhole ? output.routing.tokenCount : Self.sampleCount
    let step = max(1, output.routing.tokenCount / count)
    let tokens = Array(stride(from: 0, to: output.routing.tokenCount, by: step).prefix(count))
    func rows(_ values: [Float]) -> [Float] { tokens.flatMap { values[$0 * width..<($0 + 1) * width] } }
    // The routing is replayed: near ties may fall either way, and it is the experts that are checked.
    let slots = tokens.flatMap { output.routing.slots(of: $0) }
    let routing = try Routing(
      topK: output.routing.topK, ids: slots.map { output.routing.ids[$0] },
      weights: slots.map { output.routing.weights[$0] })
    let expected = try reference.forward(rows(hidden), MoEInput(routing: routing)).output
    return Accuracy.relativeError(rows(output.output), expected)
  }
}

extension Routing {
  /// Slots of experts that have no weights are skipped.
  fileprivate func withoutZeroExperts(_ plan: MoEModel.Layer) -> Routing {
    var routing = self
    for slot in ids.indices where Int(ids[slot]) >= plan.specification.expertCount { routing.ids[slot] = -1 }
    return routing
  }
}

// MARK: - Reporting

extension Demonstration {
  private func text(
    _ model: MoEModel, _ plans: [MoEModel.Layer], made: String?, machine: String, loaded: String,
    _ ceilings: Ceilings, _ rows: [Row]
  ) -> String {
    let plan = plans[0]
    let specification = plan.specification
    var facts = TextTable(["", ""], leftAligned: [0, 1])
    if let made { facts.append(["made", made]) }
    facts.append(["model", "\(model.architecture), layers \(plans.map(\.index).ranges)"])
    facts.append([
      "experts",
      "\(specification.expertCount), top \(plan.topK), hidden \(plan.hiddenSize), intermediate "
        + "\(specification.intermediateSize), \(specification.elementType), \(specification.activation)",
    ])
    facts.append(["router", "\(plan.plan)"])
    facts.append(["loaded", loaded])
    facts.append(["machine", machine])
    facts.append([
      "ceilings",
      "\(Format.rate(ceilings.bytesPerSecond)) memory read, \(Format.short(ceilings.operationsPerSecond / 1e9)) GFLOP/s \(options.precision.rawValue)",
    ])
    var table = TextTable(["tokens", "ms", "tokens/s", "GB/s", "GFLOP/s", "of ceiling", "error"])
    for row in rows {
      table.append([
        "\(row.tokenCount)", Format.short(row.seconds * 1000), Format.short(Double(row.tokenCount) / row.seconds),
        Format.short(Double(row.work.bytes) / row.seconds / 1e9),
        Format.short(Double(row.work.operations) / row.seconds / 1e9),
        "\(Format.fixed(100 * row.work.floor(ceilings) / row.seconds, 0)) %", Format.scientific(row.error),
      ])
    }
    return facts.text.drop { $0.isNewline } + "\n\n" + table.text
      + "\n\nerror: relative to the Float64 reference backend, up to \(Self.sampleCount) tokens of each batch"
  }

  private func object(
    _ model: MoEModel, _ plan: MoEModel.Layer, _ backend: String, _ loadSeconds: Double, _ bytes: Int,
    _ ceilings: Ceilings, _ rows: [Row]
  ) -> JSONValue {
    let results = rows.map { row -> JSONValue in
      [
        "tokens": .integer(row.tokenCount), "seconds": .number(row.seconds), "bytes": .integer(row.work.bytes),
        "operations": .integer(row.work.operations),
        "share_of_ceiling": .number(row.work.floor(ceilings) / row.seconds),
        "error": .number(row.error),
      ]
    }
    return [
      "schema": 1, "command": "run", "checkpoint": .string(model.checkpoint.path),
      "family": .string(model.architecture), "layer": .integer(plan.index), "backend": .string(backend),
      "load_seconds": .number(loadSeconds), "load_bytes": .integer(bytes),
      "ceilings": [
        "bytes_per_second": .number(ceilings.bytesPerSecond),
        "operations_per_second": .number(ceilings.operationsPerSecond),
      ],
      "results": .array(results),
    ]
  }
}
