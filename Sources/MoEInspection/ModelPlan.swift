// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
public import MoE

/// What each rank of a grid will read, hold and need for all layers of a model: the sum of their load plans.
///
/// ```swift
/// let grid = try ParallelLayout(tensorParallel: 2, expertParallel: 4)
/// let plan = try ModelPlan(model, on: CPUBackend(), over: grid, maxTokens: 512)
/// print(plan.ranks.map(\.peak))
/// ```
public struct ModelPlan: Sendable {
  public let grid: ParallelLayout
  public let backendName: String
  public let maxTokens: Int
  public let ranks: [Rank]
  /// What a user should know.
  public let notes: [String]

  /// The totals of one rank over all layers.
  public struct Rank: Sendable, Hashable {
    public let rank: Int
    /// Of each layer.
    public private(set) var slots: [Int] = []
    /// Of each layer.
    public private(set) var intermediate: [Range<Int>] = []
    /// What the backend adds to the intermediate size of each layer.
    public private(set) var padding: [Int] = []
    public private(set) var bytesToRead = 0
    public private(set) var resident = 0
    /// What loading takes besides, at its height.
    public private(set) var staging = 0
    /// Of a batch whose routed rows are spread evenly over the ranks, and of one that all goes to this rank.
    public private(set) var balancedWorkspace = 0
    public private(set) var worstWorkspace = 0

    public var peak: Int { resident + staging }
    public var needed: Int { max(peak, resident + worstWorkspace) }

    fileprivate init(_ rank: Int) { self.rank = rank }
  }

  /// - Parameters:
  ///   - redundancy: replicas of experts for a layer of so many.
  ///   - maxTokens: the most tokens of a batch.
  ///   - weightType: what weights are converted or quantised to; nil for what they are.
  ///   - admit: called with the plan of each group of experts, to refuse it.
  /// - Throws: every reason why a layer can't be cut or kept so, and what `admit` throws.
  public init(
    _ model: MoEModel, on backend: some Backend, over grid: ParallelLayout = .single,
    redundancy: (_ expertCount: Int) -> Int = { _ in 0 }, maxTokens: Int, weightType: WeightType? = nil,
    admit: (LoadPlan) throws(MoEError) -> Void = { _ in }
  ) throws(MoEError) {
    let workers = WorkerPool.availableProcessors
    var ranks = grid.ranks.map { Rank($0.rank) }
    var notes = model.notes
    for layer in model.layers {
      let count = layer.specification.expertCount
      let placement = try ExpertPlacement.initial(
        expertCount: count, redundant: redundancy(count), ranks: grid.expertParallel)
      for rank in grid.ranks {
        let plan = try LoadPlan(
          layer.experts, on: backend, as: rank, placement: placement, weightType: weightType)
        ranks[rank.rank].add(plan, workers: workers, rows: maxTokens * layer.topK, slots: placement.logical.count)
        if let shared = layer.shared {
          // Shared experts are cut over the tensor-parallel ranks and held by every expert-parallel one.
          let own = try ParallelLayout(
            tensorParallel: rank.tensorParallel, expertParallel: 1, rank: rank.tensorRank)
          let plan = try LoadPlan(shared.experts, on: backend, as: own, weightType: weightType)
          ranks[rank.rank].add(plan, workers: workers, rows: maxTokens, slots: nil)
          try admit(plan)
        }
        try admit(plan)
        notes += plan.notes.filter { !notes.contains($0) }
      }
    }
    self.grid = grid
    backendName = backend.name
    self.maxTokens = maxTokens
    self.ranks = ranks
    self.notes = notes
  }

  /// The object of `moe plan --json`.
  public func object(of model: MoEModel) -> JSONValue {
    [
      "schema": 1, "command": "plan", "path": .string(model.checkpoint.path), "backend": .string(backendName),
      "tensor_parallel": .integer(grid.tensorParallel), "expert_parallel": .integer(grid.expertParallel),
      "max_tokens": .integer(maxTokens), "layers": .array(model.layers.map { .integer($0.index) }),
      "ranks": .array(ranks.map(\.object)), "notes": .array(notes.map { .string($0) }),
    ]
  }
}

extension ModelPlan.Rank {
  /// - Parameter slots: all slots of the layer, where rows are spread over them; nil where every row comes here.
  fileprivate mutating func add(_ plan: LoadPlan, workers: Int, rows: Int, slots total: Int?) {
    if total != nil {
      slots.append(plan.slots.count)
      intermediate.append(plan.intermediate)
      padding.append(plan.layout.specification.intermediateSize - plan.intermediate.count)
    }
    bytesToRead += plan.bytesToRead
    resident += plan.residentBytes
    staging = max(staging, plan.peakBytes(workers: workers) - plan.residentBytes)
    let share = total.map { ($0 == 0 ? 0 : (rows * plan.slots.count + $0 - 1) / $0) } ?? rows
    balancedWorkspace = max(balancedWorkspace, share * plan.layout.workspacePerRow)
    worstWorkspace = max(worstWorkspace, rows * plan.layout.workspacePerRow)
  }

  fileprivate var object: JSONValue {
    [
      "rank": .integer(rank), "slots": .array(slots.map { .integer($0) }),
      "intermediate": .array(intermediate.map { [.integer($0.lowerBound), .integer($0.upperBound)] }),
      "bytes_to_read": .integer(bytesToRead), "resident_bytes": .integer(resident), "peak_bytes": .integer(peak),
      "workspace_bytes": .integer(balancedWorkspace), "worst_workspace_bytes": .integer(worstWorkspace),
    ]
  }
}
