// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Synchronization

/// The experts of a ``ReferenceBackend``: for each slot the weights, then the biases, of gate, up and down in rows.
public final class ReferenceStorage: Sendable {
  let layout: Layout
  private let experts: [Locked<[Float]?>]
  let inputScales = Locked(InputScales(gateUp: nil, down: nil))

  init(_ layout: Layout) {
    self.layout = layout
    experts = (0..<layout.specification.expertCount).map { _ in Locked(nil) }
  }

  func values(of slot: Int) throws(MoEError) -> [Float] {
    try checkSlot(slot, of: layout)
    guard let values = experts[slot].withLock({ $0 }) else {
      throw MoEError(.invalidArgument, "expert \(slot) was never stored")
    }
    return values
  }

  func weights(of slot: Int) throws(MoEError) -> ReferenceWeights {
    ReferenceWeights(values: try values(of: slot), specification: layout.specification)
  }

  func set(_ values: [Float], at slot: Int) throws(MoEError) {
    try checkSlot(slot, of: layout)
    experts[slot].withLock { $0 = values }
  }
}

/// A value behind a mutex that can be an element of an array.
final class Locked<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  init(_ value: Value) { mutex = Mutex(value) }

  func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
    mutex.withLock { (value: inout Value) -> Result in body(&value) }
  }
}

/// The matrices of one stored expert.
struct ReferenceWeights {
  let values: [Float]
  let specification: LayerSpecification

  /// matrix · input + bias, in Float64.
  func apply(_ projection: Projection, to input: [Double]) -> [Double] {
    let size = specification.size(of: projection)
    let weights = offset(of: projection, role: .weight)
    let bias = specification.hasBias ? offset(of: projection, role: .bias) : nil
    return (0..<size.rows).map { row in
      var sum = bias.map { Double(values[$0 + row]) } ?? 0
      for column in 0..<size.columns { sum += Double(values[weights + row * size.columns + column]) * input[column] }
      return sum
    }
  }

  private func offset(of projection: Projection, role: TensorRole) -> Int {
    var offset = 0
    for storedRole in specification.roles {
      for stored in specification.projections {
        if stored == projection && storedRole == role { return offset }
        let size = specification.size(of: stored)
        offset += storedRole == .weight ? size.rows * size.columns : size.rows
      }
    }
    return offset
  }
}

/// A dense matrix of a ``ReferenceBackend``.
public struct ReferenceLinear: Sendable {
  let weights: [Float]
  let rows: Int
  let columns: Int
  let bias: [Float]?
}
