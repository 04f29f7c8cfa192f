// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// A layer of random experts of one type, batches for it, and what the Float64 reference makes of them.
struct AccuracyProbe {
  private let specification: LayerSpecification
  private let weights: BenchWeights
  private let batches: [(hidden: [Float], routing: Routing, expected: [Float])]

  init(_ shape: ExpertShape, _ type: WeightType, tokenCounts: [Int]) throws(MoEError) {
    let specification = try LayerSpecification(
      expertCount: shape.expertCount, hiddenSize: shape.hiddenSize, intermediateSize: shape.intermediateSize
    ).converted(to: type)
    let reference = ReferenceBackend()
    let weights = try BenchWeights(specification, type)
    let truth = try reference.allocate(reference.layout(of: specification))
    try weights.fill(truth, of: reference, experts: Array(0..<shape.expertCount))
    var batches: [(hidden: [Float], routing: Routing, expected: [Float])] = []
    for count in tokenCounts {
      let hidden = RandomValues.normal(count: count * shape.hiddenSize, seed: UInt64(count))
      let routing = try Self.routing(shape, tokenCount: count)
      batches.append((hidden, routing, try reference.forward(truth, hidden: hidden, routing: routing)))
    }
    (self.specification, self.weights, self.batches) = (specification, weights, batches)
  }

  /// Experts in turn, so that all get equally many rows.
  private static func routing(_ shape: ExpertShape, tokenCount: Int) throws(MoEError) -> Routing {
    let slots = 0..<tokenCount * shape.topK
    return try Routing(
      topK: shape.topK, ids: slots.map { Int32($0 % shape.expertCount) },
      weights: slots.map { 1 / Float($0 % shape.topK + 2) })
  }

  /// The greatest relative error of a batch.
  func error(of backend: CPUBackend) throws(MoEError) -> Double {
    let storage = try backend.allocate(backend.layout(of: specification))
    try weights.fill(storage, of: backend, experts: Array(0..<specification.expertCount))
    var greatest = 0.0
    for batch in batches {
      let found = try backend.forward(storage, hidden: batch.hidden, routing: batch.routing)
      greatest = max(greatest, Accuracy.relativeError(found, batch.expected))
    }
    return greatest
  }

  /// What a precision of activations may cost, beyond the error of the type itself.
  static func bound(_ precision: ActivationPrecision) -> Double {
    switch precision {
    case .f32, .declared: 1e-4
    case .bf16: 0.005
    case .fp8: Accuracy.largestError(.fp8)
    case .int8: 0.016
    }
  }
}
