// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEDistributed
import MoEInspection
import Tensors

/// `moe run` on files: hidden states in, routing and outputs out.
struct LayerJob {
  let checkpoint: String
  let layer: Int
  let input: String
  let tensor: String
  let tokenIDs: String?
  let expertInput: String?
  let routerLogits: String?
  let routing: String?
  let output: String
  let options: BackendOptions
  let pictures: PictureOptions
  let json: Bool

  /// Runs the layer on one process, or on each of many ranks with its share of the experts and tokens.
  func run(on backend: some Backend, by loading: some ExpertLoading, _ sharing: TokenSharing) throws {
    let (model, plan, hidden, rows) = try sharing.together {
      let input = try read()
      try options.announce([input.plan], on: backend, as: sharing.grid?.layout ?? .single, aloud: sharing.isFirst)
      return input
    }
    if sharing.isFirst { for note in model.notes { Console.note(note) } }
    let line = sharing.isFirst ? ProgressLine("loading layer \(layer)") : nil
    let memory = MemorySamples()
    let start = now()
    let loaded: MoELayer = try MoELayer(plan, of: model, on: backend, weightType: options.weightType, by: loading) {
      line?.show(bytes: $0.bytesRead, of: $0.bytesToRead)
      memory.add(share: Double($0.bytesRead) / Double(max(1, $0.bytesToRead)))
    }
    line?.finish()
    let ready = now()
    let own = sharing.own(of: hidden.rows)
    let result = try loaded.forward(
      Array(hidden.values[own.lowerBound * plan.hiddenSize..<own.upperBound * plan.hiddenSize]),
      rows.rows(own, of: hidden.rows))
    let done = now()
    let all = try sharing.gather(result)
    guard sharing.isFirst else { return }
    try write(
      all, width: plan.hiddenSize, routedWidth: plan.specification.hiddenSize,
      metadata: [
        "layer": "\(layer)", "experts": "\(plan.specification.expertCount)",
        "zero_experts": "\(plan.plan.zeroExpertCount)",
      ])
    report(backend, sharing, tokens: hidden.rows, load: ready - start, run: done - ready)
    guard !pictures.isEmpty else { return }
    let picture = try picture(plan, memory, on: backend, as: sharing.grid?.layout ?? .single)
    try pictures.draw(picture, isQuiet: json)
  }

  /// The load of this rank's experts as planned and as it was.
  private func picture(
    _ layer: MoEModel.Layer, _ memory: MemorySamples, on backend: some Backend, as rank: ParallelLayout
  ) throws(MoEError) -> Picture {
    let plan = try LoadPlan(layer.experts, on: backend, as: rank, weightType: options.weightType)
    let peak = plan.peakBytes(workers: WorkerPool.availableProcessors)
    return .memory(
      "Memory of a load", "layer \(layer.index) of \(checkpoint), backend \(backend.name)",
      resident: plan.residentBytes,
      staging: peak - plan.residentBytes, measured: memory.values)
  }

  private func report(
    _ backend: some Backend, _ sharing: TokenSharing, tokens: Int, load: Double, run: Double
  ) {
    if json {
      var object: [String: JSONValue] = [
        "schema": 1, "command": "run", "checkpoint": .string(checkpoint), "layer": .integer(layer),
        "backend": .string(backend.name), "tokens": .integer(tokens), "output": .string(output),
        "load_seconds": .number(load), "run_seconds": .number(run),
        "peak_resident_bytes": .integer(Console.peakResidentBytes),
      ]
      if let grid = sharing.grid { object["ranks"] = .integer(grid.world.size) }
      print(JSONValue.object(object).serialized(pretty: true))
    } else {
      let ranks = sharing.grid.map { " and \($0.world.size) ranks" } ?? ""
      print(
        "\(output): layer \(layer) on \(tokens) token(s), loaded in \(Format.fixed(load * 1000, 1)) ms, "
          + "run in \(Format.fixed(run * 1000, 1)) ms on \(backend.name)\(ranks)")
    }
  }

  /// Opens the checkpoint and reads the input, all of it on every rank.
  private func read() throws -> (
    model: MoEModel, plan: MoEModel.Layer, hidden: (rows: Int, values: [Float]), rows: MoEInput
  ) {
    let model = try MoEModel(opening: checkpoint, layers: [layer])
    let plan = try model.layer(layer)
    let file = try TensorCatalog(opening: input)
    let hidden = try matrix(tensor, of: file, width: plan.hiddenSize, what: "hidden states")
    let expertCount = plan.specification.expertCount + plan.plan.zeroExpertCount
    let rows = MoEInput(
      expertInput: try expertInput.map { name in
        try matrix(name, of: file, width: plan.hiddenSize, what: "expert input").values
      },
      routerLogits: try routerLogits.map { name in
        try matrix(name, of: file, width: expertCount, what: "router logits").values
      },
      routing: try routing.map(RoutingFile.read),
      tokenIDs: try tokenIDs.map { name in try ids(name, of: file) })
    return (model, plan, hidden, rows)
  }

  /// - Parameter metadata: what traces need to know of the routing.
  private func write(_ result: MoEOutput, width: Int, routedWidth: Int, metadata: [String: String]) throws {
    let tokens = result.routing.tokenCount
    func floats(_ name: String, _ values: [Float], _ width: Int) -> (TensorDeclaration, bytes: [UInt8]) {
      (TensorDeclaration(name, .f32, [tokens, width]), ElementType.f32.encode(values))
    }
    var tensors = RoutingFile.tensors(result.routing)
    tensors.append(floats("routed_output", result.routed, routedWidth))
    if let shared = result.shared { tensors.append(floats("shared_output", shared, width)) }
    tensors.append(floats("output", result.output, width))
    try SafetensorsFile.write(tensors: tensors, to: output, metadata: metadata)
  }
}

// MARK: - Input

extension LayerJob {
  private func record(_ name: String, of file: TensorCatalog, what: String) throws -> TensorRecord {
    if let record = file[name] { return record }
    throw MoEError(
      .missingTensor, "the file has no such tensor (\(what))", file: input, subject: name,
      expected: "one of " + file.records.map(\.name).joined(separator: ", "))
  }

  /// A floating-point tensor `[tokens, width]`.
  private func matrix(
    _ name: String, of file: TensorCatalog, width: Int, what: String
  ) throws -> (rows: Int, values: [Float]) {
    let record = try record(name, of: file, what: what)
    guard record.shape.rank == 2, record.shape[1] == width else {
      throw MoEError(
        .shapeMismatch, "\(what) have another shape than the layer reads", file: input, subject: name,
        expected: "[tokens, \(width)]", found: "\(record.shape)")
    }
    guard [.f32, .bf16, .f16].contains(record.elementType) else {
      throw MoEError(
        .typeMismatch, "\(what) are of a type that can't be read", file: input, subject: name,
        expected: "F32, BF16 or F16", found: record.elementType.rawValue)
    }
    return (record.shape[0], try file.floats(of: record))
  }

  private func ids(_ name: String, of file: TensorCatalog) throws -> [Int32] {
    let record = try record(name, of: file, what: "token ids")
    guard record.shape.rank == 1 else {
      throw MoEError(
        .shapeMismatch, "token ids have another shape than the layer reads", file: input, subject: name,
        expected: "[tokens]", found: "\(record.shape)")
    }
    return try file.integers(of: record).map { value in
      guard let id = Int32(exactly: value) else {
        throw MoEError(.invalidValue, "a token id is out of range", file: input, subject: name, found: "\(value)")
      }
      return id
    }
  }
}
