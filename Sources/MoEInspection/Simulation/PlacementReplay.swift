// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc
public import MoE
internal import Tensors

/// A trace, run again over a placement: what each rank would have had to do.
///
/// ```swift
/// let replay = try PlacementReplay(trace, on: placement)
/// replay.balancedness        // Σ mean / Σ max over layers and steps
/// ```
public struct PlacementReplay: Sendable, Hashable {
  /// Tokens of each rank, over all layers, `[steps][ranks]`.
  public let rankLoads: [[Double]]
  /// Of each step: Σ mean / Σ max over its layers.
  public let stepBalancedness: [Double]
  /// Over all steps and layers.
  public let balancedness: Double
  /// Tokens of the busiest rank of each layer, summed over layers and steps: what all ranks wait for.
  public let criticalLoad: Double

  /// - Throws: `invalidArgument` for a placement of other layers or experts.
  public init(_ trace: LoadTrace, on placement: ModelPlacement) throws(MoEError) {
    try trace.validate(placement)
    var (means, greatest) = (0.0, 0.0)
    var (rankLoads, stepBalancedness): ([[Double]], [Double]) = ([], [])
    for step in trace.steps {
      let loads = zip(placement.placements, trace.rows(step)).map { $0.rankLoads($1) }
      rankLoads.append((0..<placement.rankCount).map { rank in loads.reduce(0) { $0 + $1[rank] } })
      stepBalancedness.append(Balancedness.of(loads))
      means += rankLoads.last!.reduce(0, +) / Double(placement.rankCount)
      greatest += loads.reduce(0) { $0 + $1.max()! }
    }
    self.rankLoads = rankLoads
    self.stepBalancedness = stepBalancedness
    balancedness = greatest > 0 ? means / greatest : 1
    criticalLoad = greatest
  }

  /// Tokens of each rank in a step, in the mean.
  public var meanLoads: [Double] { ranks.map { $0.reduce(0, +) / Double(rankLoads.count) } }

  /// Their standard deviations over steps.
  public var deviations: [Double] {
    zip(ranks, meanLoads).map { loads, mean in
      (loads.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(loads.count)).squareRoot()
    }
  }

  private var ranks: [[Double]] { rankLoads[0].indices.map { rank in rankLoads.map { $0[rank] } } }
}

extension LoadTrace {
  /// - Throws: `invalidArgument` for a placement of other layers or experts, both at once.
  public func validate(_ placement: ModelPlacement) throws(MoEError) {
    var faults: [Fault] = []
    if placement.layers.count != layers.count {
      faults.append(
        Fault(
          .invalidArgument, "the placement is of other layers than the loads", expected: "\(layers.count) layers",
          found: "\(placement.layers.count)"))
    } else if placement.layers != layers && placement.layers != Array(layers.indices) && layers != Array(layers.indices)
    {
      faults.append(
        Fault(
          .invalidArgument, "the placement is of other layers than the loads", expected: "layers \(layers.ranges)",
          found: "layers \(placement.layers.ranges)"))
    }
    if placement.expertCount != expertCount {
      faults.append(
        Fault(
          .invalidArgument, "the placement is of other experts than the loads", expected: "\(expertCount) experts",
          found: "\(placement.expertCount)"))
    }
    guard faults.isEmpty else { throw MoEError(faults) }
  }

  /// The cost of a step on a placement, all layers together, in the mean over the steps.
  public func cost(on placement: ModelPlacement, _ cluster: ClusterModel, _ layer: LayerCost) -> StepCost {
    var sum = StepCost()
    for step in steps {
      for (placement, loads) in zip(placement.placements, rows(step)) {
        sum += cluster.cost(of: loads, on: placement, layer)
      }
    }
    return sum / Double(steps.count)
  }

  /// Made-up loads: batches of tokens whose experts are drawn as a simulated router draws them, a popularity for each layer.
  ///
  /// - Precondition: the numbers are positive.
  public static func simulated(
    layers: [Int], expertCount: Int, topK: Int, tokenCount: Int, stepCount: Int = 1,
    distribution: SimulatedRouter.Distribution, seed: UInt64 = 1
  ) throws(MoEError) -> LoadTrace {
    var steps: [[Double]] = []
    let routers = try layers.map { layer throws(MoEError) in
      try SimulatedRouter(
        expertCount: expertCount, topK: topK, distribution: distribution, seed: seed &+ UInt64(layer) &* 7919)
    }
    // One long batch of each layer, cut into steps, so that popularity stays.
    let routings = routers.map { $0.route(tokenCount: tokenCount * stepCount) }
    for step in 0..<stepCount {
      var recorder = TraceRecorder(layers: layers, expertCount: expertCount, topK: topK)
      for (layer, routing) in routings.enumerated() {
        var part = Routing(tokenCount: tokenCount, topK: topK)
        part.ids = Array(routing.ids[step * tokenCount * topK..<(step + 1) * tokenCount * topK])
        recorder.record(part, layer: layer)
      }
      recorder.finishStep()
      steps += try recorder.trace().steps
    }
    return try LoadTrace(layers: layers, layerCount: layers.count, expertCount: expertCount, topK: topK, steps: steps)
  }
}
