// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// Copies of a layer of random experts in memory, and the stopwatch.
struct LayerBench {
  let backend: CPUBackend
  let layout: Layout
  let shape: ExpertShape
  private let copies: [CPUStorage]
  /// The numbers that experts are cut from: each begins a little further on.
  private let pool: [UInt8]

  /// Experts begin at multiples of this many elements, this many different ones.
  private static let (step, starts) = (64, 61)

  struct Row {
    var tokenCount: Int
    /// The mean over the routings.
    var work: Workload
    var minimum: Double
    var median: Double
  }

  init(_ shape: ExpertShape, _ elementType: ElementType, on backend: CPUBackend) throws(MoEError) {
    let specification = LayerSpecification(
      expertCount: shape.expertCount, hiddenSize: shape.hiddenSize, intermediateSize: shape.intermediateSize,
      elementType: elementType)
    self.backend = backend
    self.shape = shape
    let layout = try backend.layout(of: specification)
    self.layout = layout
    let values = RandomValues.uniform(
      count: specification.parametersPerExpert + Self.step * Self.starts,
      deviation: 1 / Float(shape.hiddenSize).squareRoot(), seed: 1)
    pool = elementType.encode(values)
    let count = max(1, (Processor.uncachedByteCount + layout.residentBytes - 1) / layout.residentBytes)
    var copies: [CPUStorage] = []
    for _ in 0..<count {
      let storage = try backend.allocate(layout)
      try Self.fill(storage, of: backend, specification, from: pool, experts: Array(0..<shape.expertCount))
      copies.append(storage)
    }
    self.copies = copies
  }

  /// Stores expert `experts[slot]` in each slot.
  private static func fill<B: Backend>(
    _ storage: B.Storage, of backend: B, _ specification: LayerSpecification, from pool: [UInt8], experts: [Int]
  ) throws(MoEError) {
    let width = specification.elementType.bitWidth / 8
    for (slot, expert) in experts.enumerated() {
      let result = unsafe pool.withUnsafeBytes { bytes -> Result<Void, MoEError> in
        var parameters = ExpertParameters()
        var offset = expert % starts * step
        for projection in specification.projections {
          let (rows, columns) = specification.size(of: projection)
          parameters[projection, .weight] = unsafe ParameterView(
            base: bytes.baseAddress! + offset * width, elementType: specification.elementType, rows: rows,
            columns: columns, rowStride: columns, columnStride: 1)
          offset += rows * columns
        }
        do throws(MoEError) {
          return .success(try backend.store(parameters, slot: LocalExpert(rawValue: slot), in: storage))
        } catch {
          return .failure(error)
        }
      }
      try result.get()
    }
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
    try Self.fill(truth, of: reference, specification, from: pool, experts: experts)
    let hidden = RandomValues.normal(count: shape.hiddenSize, seed: 2)
    let weights = experts.indices.map { 1 / Float($0 + 2) }
    let found = try backend.forward(
      copies[0], hidden: hidden, routing: Routing(topK: experts.count, ids: experts.map(Int32.init), weights: weights))
    let expected = try reference.forward(
      truth, hidden: hidden,
      routing: Routing(topK: experts.count, ids: experts.indices.map(Int32.init), weights: weights))
    let error = Accuracy.relativeError(found, expected)
    try Accuracy.require(error, of: backend.name)
    return error
  }

  /// Times batches of each routing in turn, over the copies in turn.
  func measure(_ routings: [Routing], atLeast seconds: Double) throws(MoEError) -> Row {
    let tokenCount = routings[0].tokenCount
    let queue = backend.makeQueue()
    let hidden = try backend.makeBuffer(
      RandomValues.normal(count: tokenCount * shape.hiddenSize, seed: 3), on: queue)
    let output = try backend.makeBuffer(byteCount: tokenCount * shape.hiddenSize * MemoryLayout<Float>.stride)
    var buffers: [(ids: HostBuffer, weights: HostBuffer)] = []
    for routing in routings {
      buffers.append(
        (try backend.makeBuffer(routing.ids, on: queue), try backend.makeBuffer(routing.weights, on: queue)))
    }
    var times: [Double] = []
    let end = now() + seconds
    while times.count < 6 || now() < end {
      let (ids, weights) = buffers[times.count % buffers.count]
      let start = now()
      try backend.forward(
        copies[times.count % copies.count], hidden: hidden, ids: ids, weights: weights, tokenCount: tokenCount,
        topK: routings[0].topK, into: output, on: queue)
      times.append(now() - start)
    }
    // The first call finds cold caches and makes the workspace.
    times = times.dropFirst().sorted()
    let work = routings.map { Workload($0, layout: layout) }
    let mean = Workload(
      bytes: work.reduce(0) { $0 + $1.bytes } / work.count,
      operations: work.reduce(0) { $0 + $1.operations } / work.count)
    return Row(tokenCount: tokenCount, work: mean, minimum: times[0], median: times[times.count / 2])
  }
}
