// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
internal import Tensors

extension LoadTrace {
  /// Traces of some layers each, over the same steps, as one: in the order of the layers.
  ///
  /// - Throws: `invalidValue` for traces of other numbers of steps or experts, and for a layer that two have.
  public init(merging traces: [LoadTrace]) throws(MoEError) {
    guard let first = traces.first else { throw MoEError(.invalidValue, "no traces to merge") }
    var faults: [Fault] = []
    for trace in traces where (trace.steps.count, trace.expertCount) != (first.steps.count, first.expertCount) {
      faults.append(
        Fault(
          .invalidValue, "traces that don't fit together, of layers \(first.layers) and \(trace.layers)",
          expected: "\(first.steps.count) steps, \(first.expertCount) experts",
          found: "\(trace.steps.count) steps, \(trace.expertCount) experts"))
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    let places = traces.enumerated().flatMap { trace, value in
      value.layers.enumerated().map { (layer: $1, trace: trace, row: $0) }
    }.sorted { $0.layer < $1.layer }
    let steps = first.steps.indices.map { step in
      let rows = traces.map { $0.rows($0.steps[step]) }
      return places.flatMap { rows[$0.trace][$0.row] }
    }
    try self.init(
      layers: places.map(\.layer), layerCount: places.count, expertCount: first.expertCount,
      topK: traces.allSatisfy { $0.topK == first.topK } ? first.topK : nil, steps: steps)
  }
}
