// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Synchronization

/// The experts of a ``ReferenceBackend``: for each slot the weights, then the biases, of gate, up and down in rows.
public final class ReferenceStorage: Sendable {
  let layout: Layout
  private let experts: [Locked<Expert>]
  let inputScales = Locked(InputScales(gateUp: nil, down: nil))

  private struct Expert {
    var values: [Float] = []
    var rows = StoredRows()
    var isReadable = false
  }

  init(_ layout: Layout) {
    self.layout = layout
    experts = (0..<layout.specification.expertCount).map { _ in Locked(Expert()) }
  }

  func values(of slot: Int) throws(MoEError) -> [Float] {
    try checkSlot(slot, of: layout)
    guard let values = experts[slot].withLock({ $0.isReadable ? $0.values : nil }) else {
      throw MoEError(.invalidArgument, "expert \(slot) was never stored")
    }
    return values
  }

  func weights(of slot: Int) throws(MoEError) -> ReferenceWeights {
    ReferenceWeights(values: try values(of: slot), specification: layout.specification)
  }

  func set(_ values: [Float], at slot: Int) throws(MoEError) {
    try checkSlot(slot, of: layout)
    experts[slot].withLock { $0 = Expert(values: values, isReadable: true) }
  }

  func begin(_ slot: Int) throws(MoEError) {
    try checkSlot(slot, of: layout)
    let count = layout.bytesPerExpert / MemoryLayout<Float>.stride
    experts[slot].withLock { $0 = Expert(values: [Float](repeating: .nan, count: count)) }
  }

  func store(_ slice: ParameterSlice, at slot: Int) throws(MoEError) {
    try checkSlot(slot, of: layout)
    guard case .dense(let view) = slice.content else {
      throw MoEError(.unsupportedByBackend, "the reference keeps no codes")
    }
    let values = try view.decoded()
    let failure = experts[slot].withLock { expert -> MoEError? in
      do throws(MoEError) {
        try expert.rows.insert(slice, layout)
      } catch {
        return error
      }
      let specification = layout.specification
      let width = slice.role == .bias ? 1 : specification.size(of: slice.projection).columns
      let start = specification.offset(of: slice.projection, slice.role) + slice.firstRow * width
      expert.values.replaceSubrange(start..<start + values.count, with: values)
      return nil
    }
    if let failure { throw failure }
  }

  func finish(_ slot: LocalExpert) throws(MoEError) {
    try checkSlot(slot.rawValue, of: layout)
    try experts[slot.rawValue].withLock { $0.rows }.checkComplete(layout.specification, slot)
    experts[slot.rawValue].withLock { $0.isReadable = true }
  }
}

/// A value behind a mutex that can be an element of an array.
package final class Locked<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  package init(_ value: Value) { mutex = Mutex(value) }

  package func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
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
    let weights = specification.offset(of: projection, .weight)
    let bias = specification.hasBias ? specification.offset(of: projection, .bias) : nil
    return (0..<size.rows).map { row in
      var sum = bias.map { Double(values[$0 + row]) } ?? 0
      for column in 0..<size.columns { sum += Double(values[weights + row * size.columns + column]) * input[column] }
      return sum
    }
  }
}

extension LayerSpecification {
  /// Where a tensor begins among an expert's numbers: weights, then biases, of gate, up and down.
  fileprivate func offset(of projection: Projection, _ role: TensorRole) -> Int {
    var offset = 0
    for storedRole in roles {
      for stored in projections {
        if stored == projection && storedRole == role { return offset }
        let size = size(of: stored)
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
