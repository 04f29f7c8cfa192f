// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
public import MoE

/// Loads each rank's share of a layer's experts, after making sure that all ranks mean the same layer.
///
/// ```swift
/// let grid = try RankGrid(world, tensorParallel: 1, expertParallel: world.size)
/// let layer = try MoELayer(model.layers[0], of: model, on: CPUBackend(), by: RankLoading(grid))
/// let result = try layer.forward(hidden)           // on all ranks
/// ```
public struct RankLoading<C: Communicator>: ExpertLoading where C.Buffer == HostBuffer {
  public let grid: RankGrid<C>
  public let dispatch: Dispatch
  /// The experts of every expert-parallel rank, of a layer with so many.
  let placement: @Sendable (_ expertCount: Int) throws(MoEError) -> ExpertPlacement

  /// - Parameter placement: where the experts of a layer with so many go; each once, in order, when nil.
  public init(
    _ grid: RankGrid<C>, dispatch: Dispatch = .allTokens,
    placement: (@Sendable (_ expertCount: Int) throws(MoEError) -> ExpertPlacement)? = nil
  ) {
    self.grid = grid
    self.dispatch = dispatch
    if let placement {
      self.placement = placement
    } else {
      self.placement = { (count) throws(MoEError) in
        try .initial(expertCount: count, ranks: grid.expertParallel)
      }
    }
  }

  /// - Throws: on all ranks, what is wrong on any of them; `differingRanks` for what differs between them.
  public func load<B: Backend>(
    _ source: ExpertSource, of catalog: TensorCatalog, on backend: B, isShared: Bool, weightType type: WeightType?,
    progress: (@Sendable (LoadProgress) -> Void)?
  ) throws(MoEError) -> RoutedExperts<B> {
    let world = grid.world
    let share = isShared ? try grid.shared() : grid
    let plan = try world.together {
      let placement: ExpertPlacement? = isShared ? nil : try placement(source.specification.expertCount)
      // A spare rank plans as the first ones do, and leaves it at that.
      var layout = share.layout
      if layout == nil { layout = try grid.seat(world.rank % grid.tensorParallel) }
      return try LoadPlan(source, on: backend, as: layout!, placement: placement, weightType: type)
    }
    let grids = "\(grid.tensorParallel) × \(grid.expertParallel), \(dispatch)"
    try world.requireEqual(plan.identity + [("arithmetic", backend.arithmetic), ("grid and dispatch", grids)])
    try grid.column.requireEqual([("bytes of an expert", "\(plan.layout.bytesPerExpert)")])
    let storage = try world.together {
      guard share.layout != nil else { return try backend.allocate(plan.layout, expertCount: 0) }
      let storage = try backend.allocate(plan.layout)
      try plan.execute(from: catalog, into: storage, of: backend, progress: progress)
      return storage
    }
    var specification = plan.specification
    specification.expertCount = source.specification.expertCount
    specification.intermediateSize = source.specification.intermediateSize
    return RoutedExperts(
      backend: backend,
      runner: RankedExperts(
        backend: backend, storage: storage, grid: share, placement: plan.placement, dispatch: dispatch),
      specification: specification)
  }
}
