// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// What calls of one batch size took.
struct BenchRow {
  var tokenCount: Int
  /// The mean over the routings.
  var work: Workload
  /// The mean over the routings of the least seconds of each.
  var minimum: Double
  /// Of all calls.
  var median: Double
}

/// Copies of a layer of random experts in memory, and the stopwatch.
struct LayerBench<B: TimedBackend> {
  let backend: B
  let layout: Layout
  let shape: ExpertShape
  private let copies: [B.Storage]
  private let weights: BenchWeights

  init(_ shape: ExpertShape, _ type: WeightType, on backend: B) throws(MoEError) {
    let specification = try LayerSpecification(
      expertCount: shape.expertCount, hiddenSize: shape.hiddenSize, intermediateSize: shape.intermediateSize
    ).converted(to: type)
    self.backend = backend
    self.shape = shape
    let layout = try backend.layout(of: specification)
    self.layout = layout
    weights = try BenchWeights(specification, type)
    let count = max(1, (try backend.uncachedByteCount() + layout.residentBytes - 1) / layout.residentBytes)
    var copies: [B.Storage] = []
    for _ in 0..<count {
      let storage = try backend.allocate(layout)
      try weights.fill(storage, of: backend, experts: Array(0..<shape.expertCount))
      copies.append(storage)
    }
    self.copies = copies
  }

  /// The experts of the token that is checked, spread over the layer.
  private var checkedExperts: [Int] { (0..<shape.topK).map { $0 * (shape.expertCount / shape.topK) } }

  /// The relative error of one token's output against the Float64 reference.
  func check() throws(MoEError) -> Double {
    let reference = ReferenceBackend()
    var specification = layout.specification
    let experts = checkedExperts
    specification.expertCount = experts.count
    let truth = try reference.allocate(reference.layout(of: specification))
    try weights.fill(truth, of: reference, experts: experts)
    let hidden = RandomValues.normal(count: shape.hiddenSize, seed: 2)
    let weights = experts.indices.map { 1 / Float($0 + 2) }
    let found = try backend.forward(
      copies[0], hidden: hidden, routing: Routing(topK: experts.count, ids: experts.map(Int32.init), weights: weights))
    let expected = try reference.forward(
      truth, hidden: hidden,
      routing: Routing(topK: experts.count, ids: experts.indices.map(Int32.init), weights: weights))
    let error = Accuracy.relativeError(found, expected)
    try Accuracy.require(error, of: backend.name, backend.activations)
    return error
  }

  /// Times batches of each routing in turn, over the copies in turn.
  func measure(_ routings: [Routing], atLeast seconds: Double) throws(MoEError) -> BenchRow {
    let tokenCount = routings[0].tokenCount
    let queue = try backend.makeQueue()
    let hidden = try backend.makeBuffer(
      backend.hiddenType.encode(RandomValues.normal(count: tokenCount * shape.hiddenSize, seed: 3)), on: queue)
    let output = try backend.makeBuffer(byteCount: tokenCount * shape.hiddenSize * backend.hiddenType.bitWidth / 8)
    var buffers: [(ids: B.Buffer, weights: B.Buffer)] = []
    for routing in routings {
      buffers.append(
        (try backend.makeBuffer(routing.ids, on: queue), try backend.makeBuffer(routing.weights, on: queue)))
    }
    let times = try backend.times(ofBatches: buffers.count, atLeast: seconds, on: queue) { (index) throws(MoEError) in
      let (ids, weights) = buffers[index % buffers.count]
      try backend.timedForward(
        copies[index % copies.count], hidden: hidden, ids: ids, weights: weights, tokenCount: tokenCount,
        topK: routings[0].topK, into: output, on: queue)
    }
    let all = times.joined().sorted()
    let work = routings.map { Workload($0, layout: layout) }
    let mean = Workload(
      bytes: work.reduce(0) { $0 + $1.bytes } / work.count,
      operations: work.reduce(0) { $0 + $1.operations } / work.count)
    return BenchRow(
      tokenCount: tokenCount, work: mean, minimum: times.reduce(0) { $0 + ($1.min() ?? 0) } / Double(times.count),
      median: all[all.count / 2])
  }
}
