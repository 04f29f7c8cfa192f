// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEDistributed
import MoEInspection
import Tensors

/// Copies of a layer of random experts on the ranks of a grid, and a stopwatch on each rank.
struct RankBench {
  let grid: RankGrid<MPICommunicator>
  let backend: CPUBackend
  let shape: ExpertShape
  let dispatch: Dispatch
  private let place: ParallelLayout
  private let weights: BenchWeights
  private let copies: [RankedExperts<CPUBackend, MPICommunicator>]
  private let slice: LayerSpecification

  struct Row {
    /// Of all ranks together.
    var tokenCount: Int
    /// By rank, for one forward in the mean.
    var ranks: [RankTime]
  }

  struct RankTime {
    var seconds: Double
    var dispatch: Double
    var compute: Double
    var combine: Double
  }

  init(
    _ shape: ExpertShape, _ type: WeightType, on backend: CPUBackend, _ grid: RankGrid<MPICommunicator>,
    dispatch: Dispatch, placement: ExpertPlacement
  ) throws {
    guard let place = grid.layout, shape.intermediateSize.isMultiple(of: place.tensorParallel) else {
      throw MoEError(
        .invalidArgument, "the intermediate size doesn't divide over the tensor-parallel ranks",
        expected: "a multiple of \(grid.tensorParallel)", found: "\(shape.intermediateSize)")
    }
    var slice = LayerSpecification(
      expertCount: placement.experts(of: place.expertRank).count, hiddenSize: shape.hiddenSize,
      intermediateSize: shape.intermediateSize / place.tensorParallel)
    slice = try slice.converted(to: type)
    let weights = try BenchWeights(slice, type)
    let layout = try backend.layout(of: slice)
    // As many as together don't fit in the caches, and as many on every rank.
    let wanted = (Processor.uncachedByteCount + layout.residentBytes - 1) / max(1, layout.residentBytes)
    let count = try grid.world.allReduce([Int64(min(wanted, 1 << 16))], by: .maximum)[0]
    copies = try grid.world.together {
      try (0..<max(1, count)).map { _ in
        let storage = try backend.allocate(layout)
        try weights.fill(storage, of: backend, experts: placement.experts(of: place.expertRank).map(\.rawValue))
        return RankedExperts(
          backend: backend, storage: storage, grid: grid, placement: placement, dispatch: dispatch)
      }
    }
    (self.grid, self.backend, self.shape, self.dispatch) = (grid, backend, shape, dispatch)
    (self.place, self.weights, self.slice) = (place, weights, slice)
  }

  /// The relative error of one token's output against the Float64 reference in this process.
  func check() throws(MoEError) -> Double {
    let experts = (0..<shape.topK).map { $0 * (shape.expertCount / shape.topK) }
    var specification = slice
    specification.expertCount = experts.count
    let reference = ReferenceBackend()
    let truth = try reference.allocate(reference.layout(of: specification))
    try weights.fill(truth, of: reference, experts: experts)
    let hidden = RandomValues.normal(count: shape.hiddenSize, seed: 2)
    let weights = experts.indices.map { 1 / Float($0 + 2) }
    // All slices have the same numbers.
    let expected = try reference.forward(
      truth, hidden: hidden,
      routing: Routing(
        topK: experts.count, ids: experts.indices.map(Int32.init),
        weights: weights.map { $0 * Float(place.tensorParallel) }))
    let found = try copies[0].forward(
      hidden, routing: Routing(topK: experts.count, ids: experts.map(Int32.init), weights: weights)
    ) {}
    let error = Accuracy.relativeError(found, expected)
    try Accuracy.require(error, of: backend.name)
    return error
  }

  /// Times batches of each routing in turn, over the copies in turn, on all ranks at once.
  func measure(_ routings: [Routing], atLeast seconds: Double) throws(MoEError) -> Row {
    let sharing = TokenSharing(grid: grid, isSpread: dispatch == .allToAll)
    let own = sharing.own(of: routings[0].tokenCount)
    var mine: [Routing] = []
    for routing in routings { mine.append(try routing.tokens(own)) }
    let hidden = RandomValues.normal(count: own.count * shape.hiddenSize, seed: 3)
    func run(_ count: Int) throws(MoEError) -> Double {
      try grid.world.barrier()
      for copy in copies { copy.resetTimes() }
      let start = now()
      for index in 0..<count {
        _ = try copies[index % copies.count].forward(hidden, routing: mine[index % mine.count]) {}
      }
      return (now() - start) / Double(count)
    }
    _ = try run(2)
    let trial = try grid.world.broadcast([run(3)], from: 0)[0]
    let count = max(5, min(100_000, Int(seconds / trial)))
    let mean = try run(count)
    let times = copies.map(\.phaseTimes)
    let spent = [\PhaseTimes.dispatch, \.compute, \.combine].map { phase in
      times.reduce(0) { $0 + $1[keyPath: phase].seconds } / Double(count)
    }
    let all = try grid.world.allGather([mean] + spent)
    return Row(
      tokenCount: routings[0].tokenCount,
      ranks: all.map { RankTime(seconds: $0[0], dispatch: $0[1], compute: $0[2], combine: $0[3]) })
  }
}

extension Duration {
  fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
