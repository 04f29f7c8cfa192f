// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// What a load will read and hold, rank by rank, before anything is allocated.
struct Plan: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what each rank will read, hold and need at its peak. Reads headers only.",
    discussion: """
      Exact bytes for the routed and shared experts of all layers (or those of --layers), for any grid of ranks. What \
      can't be cut is refused with every reason and the nearest choice that works.
      """)

  @Argument(help: "A checkpoint: a folder, a safetensors or a GGUF file.", completion: .directory)
  var checkpoint: String

  @OptionGroup var parallel: ParallelOptions

  @Option(help: ArgumentHelp("Layers, for example 0-3,7; all when absent.", valueName: "numbers"))
  var layers: NumberSet?

  @Option(help: ArgumentHelp("The most tokens of a batch, for the workspace.", valueName: "count"))
  var maxTokens = 512

  @Option(help: ArgumentHelp("Memory of each rank, such as 80GB: exceeding it is an error.", valueName: "bytes"))
  var deviceMemory: ByteCount?

  @OptionGroup var options: BackendOptions

  @OptionGroup(title: "Memory of ranks, and how experts are cut")
  var pictures: PictureOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard maxTokens > 0 else { throw ValidationError("--max-tokens must be positive") }
  }

  func run() throws {
    let model = try MoEModel(opening: checkpoint, layers: layers.map { Set($0.numbers) })
    let plan = try ModelPlan(
      model, on: try options.make(), over: try parallel.grid(), redundancy: parallel.redundantCount,
      maxTokens: maxTokens, weightType: options.weightType
    ) { (plan) throws(MoEError) in try options.admit([plan]) }
    for note in plan.notes { Console.note(note) }
    print(json ? plan.object(of: model).serialized(pretty: true) : text(model, plan))
    try pictures.draw(
      plan.picture(of: model, title: "Plan of \(model.checkpoint.name)", limit: deviceMemory?.count), isQuiet: json)
    if let limit = deviceMemory?.count {
      let faults = plan.ranks.filter { $0.needed > limit }.map { rank in
        Fault(
          .outOfMemory, "rank \(rank.rank) does not fit", subject: "--device-memory",
          expected: "at most \(Format.bytes(limit))", found: Format.bytes(rank.needed),
          remedy: "more ranks (\(Self.ranksThatFit(plan, limit))), fewer tokens, or a smaller format")
      }
      if !faults.isEmpty { throw MoEError(faults) }
    }
  }

  /// The least number of times that ranks must be multiplied for the experts to fit.
  private static func ranksThatFit(_ plan: ModelPlan, _ limit: Int) -> String {
    let needed = plan.ranks.map(\.needed).max() ?? 0
    let factor = (needed + limit - 1) / max(limit, 1)
    return "about \(factor) times as many"
  }

  private func text(_ model: MoEModel, _ plan: ModelPlan) -> String {
    var table = TextTable(
      ["rank", "experts", "intermediate", "read", "resident", "peak of load", "workspace", "worst"])
    for rank in plan.ranks {
      table.append([
        "\(rank.rank)", Self.summary(rank.slots.map(String.init)),
        Self.summary(rank.intermediate.map { "\($0.lowerBound)..<\($0.upperBound)" }), Format.bytes(rank.bytesToRead),
        Format.bytes(rank.resident), Format.bytes(rank.peak), Format.bytes(rank.balancedWorkspace),
        Format.bytes(rank.worstWorkspace),
      ])
    }
    let stored = model.layers.reduce(0) { $0 + $1.experts.storedBytes }
    return """
      \(model.checkpoint.name): \(model.architecture), \(model.layers.count) MoE layer(s), \
      \(Format.bytes(stored)) of routed experts, backend \(options.backend)
      tensor parallel \(parallel.tensorParallel), expert parallel \(parallel.expertParallel), batches of \(maxTokens) \
      token(s)

      \(table.text)
      """
  }

  /// One value, or the least and the greatest of those that layers have.
  private static func summary(_ values: [String]) -> String {
    let distinct = values.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
    return distinct.count <= 1 ? distinct.first ?? "–" : "\(distinct[0]) (and \(distinct.count - 1) other)"
  }
}
