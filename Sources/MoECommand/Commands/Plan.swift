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

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard maxTokens > 0 else { throw ValidationError("--max-tokens must be positive") }
  }

  func run() throws {
    let model = try MoEModel(opening: checkpoint, layers: layers.map { Set($0.numbers) })
    let plan = try plan(model, on: try options.make())
    for note in plan.notes { Console.note(note) }
    print(json ? object(model, plan).serialized(pretty: true) : text(model, plan))
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

  /// The totals of one rank over all layers.
  struct RankTotals {
    var rank: Int
    var slots: [Int] = []
    var intermediate: [Range<Int>] = []
    var bytesToRead = 0
    var resident = 0
    var staging = 0
    /// Of a batch whose routed rows are spread evenly over the ranks, and of one that all goes to this rank.
    var balancedWorkspace = 0
    var worstWorkspace = 0

    var peak: Int { resident + staging }
    var needed: Int { max(peak, resident + worstWorkspace) }
  }

  struct ModelPlan {
    var ranks: [RankTotals]
    var notes: [String]
  }

  private func plan(_ model: MoEModel, on backend: some Backend) throws(MoEError) -> ModelPlan {
    let grid = try parallel.grid()
    let workers = WorkerPool.availableProcessors
    var totals = grid.ranks.map { RankTotals(rank: $0.rank) }
    var notes = model.notes
    for layer in model.layers {
      let count = layer.specification.expertCount
      let placement = try parallel.placement(expertCount: count)
      for rank in grid.ranks {
        let plan = try LoadPlan(
          layer.experts, on: backend, as: rank, placement: placement, weightType: options.weightType)
        totals[rank.rank].add(plan, workers: workers, rows: maxTokens * layer.topK, slots: placement.logical.count)
        if let shared = layer.shared {
          // Shared experts are cut over the tensor-parallel ranks and held by every expert-parallel one.
          let own = try ParallelLayout(
            tensorParallel: rank.tensorParallel, expertParallel: 1, rank: rank.tensorRank)
          let plan = try LoadPlan(shared.experts, on: backend, as: own, weightType: options.weightType)
          totals[rank.rank].add(plan, workers: workers, rows: maxTokens, slots: nil)
          try options.admit([plan])
        }
        try options.admit([plan])
        notes += plan.notes.filter { !notes.contains($0) }
      }
    }
    return ModelPlan(ranks: totals, notes: notes)
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

  private func object(_ model: MoEModel, _ plan: ModelPlan) -> JSONValue {
    let ranks = plan.ranks.map { rank -> JSONValue in
      [
        "rank": .integer(rank.rank), "slots": .array(rank.slots.map { .integer($0) }),
        "intermediate": .array(rank.intermediate.map { [.integer($0.lowerBound), .integer($0.upperBound)] }),
        "bytes_to_read": .integer(rank.bytesToRead), "resident_bytes": .integer(rank.resident),
        "peak_bytes": .integer(rank.peak), "workspace_bytes": .integer(rank.balancedWorkspace),
        "worst_workspace_bytes": .integer(rank.worstWorkspace),
      ]
    }
    return [
      "schema": 1, "command": "plan", "path": .string(model.checkpoint.path), "backend": .string(options.backend),
      "tensor_parallel": .integer(parallel.tensorParallel), "expert_parallel": .integer(parallel.expertParallel),
      "max_tokens": .integer(maxTokens), "layers": .array(model.layers.map { .integer($0.index) }),
      "ranks": .array(ranks), "notes": .array(plan.notes.map { .string($0) }),
    ]
  }
}

extension Plan.RankTotals {
  /// - Parameter slots: all slots of the layer, where rows are spread over them; nil where every row comes here.
  fileprivate mutating func add(_ plan: LoadPlan, workers: Int, rows: Int, slots total: Int?) {
    if total != nil {
      slots.append(plan.slots.count)
      intermediate.append(plan.intermediate)
    }
    bytesToRead += plan.bytesToRead
    resident += plan.residentBytes
    staging = max(staging, plan.peakBytes(workers: workers) - plan.residentBytes)
    let share = total.map { ($0 == 0 ? 0 : (rows * plan.slots.count + $0 - 1) / $0) } ?? rows
    balancedWorkspace = max(balancedWorkspace, share * plan.layout.workspacePerRow)
    worstWorkspace = max(worstWorkspace, rows * plan.layout.workspacePerRow)
  }
}
