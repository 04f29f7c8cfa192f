// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

public import Tensors

/// The experts in plain loops and Float64: slow, and the truth that every other backend is held against.
///
/// Weights are resident as 32-bit floats, which hold every stored type exactly; all arithmetic is Float64, and only the
/// output is rounded to 32 bits. With activations as declared, the inputs of both products are first quantised as the
/// checkpoint says: what an accelerator's result in that format is to be compared with.
public struct ReferenceBackend: HostBackend {
  public let activations: ActivationPrecision

  public var name: String { "reference" }

  public init(activations: ActivationPrecision = .f32) { self.activations = activations }

  public func layout(of specification: LayerSpecification) throws(MoEError) -> Layout {
    try specification.validate()
    guard [.f32, .declared].contains(activations) else {
      throw MoEError(
        .unsupportedByBackend, "the reference rounds activations as declared or not at all", subject: "activations",
        expected: "f32 or declared", found: activations.rawValue, remedy: "use --backend cpu for bf16 and int8")
    }
    let schemes = activations == .declared ? specification.activations : .unquantized
    for case .unknown(let text) in [schemes.gateUp, schemes.down] {
      throw MoEError(
        .unsupportedByBackend, "the declared activations are not known", found: text, remedy: "take activations in f32")
    }
    let biases = specification.hasBias ? specification.projections.map { specification.size(of: $0).rows } : []
    return Layout(
      identity: "reference/f32", specification: specification, residentType: .f32,
      bytesPerExpert: (specification.parametersPerExpert + biases.reduce(0, +)) * MemoryLayout<Float>.stride,
      workspacePerRow: (specification.intermediateSize + specification.hiddenSize) * MemoryLayout<Double>.stride,
      activations: schemes)
  }

  public func allocate(_ layout: Layout) throws(MoEError) -> ReferenceStorage { ReferenceStorage(layout) }

  public func specification(of storage: ReferenceStorage) -> LayerSpecification { storage.layout.specification }

  public func begin(_ slot: LocalExpert, in storage: ReferenceStorage) throws(MoEError) {
    try storage.begin(slot.rawValue)
  }

  public func store(
    _ slice: ParameterSlice, slot: LocalExpert, in storage: ReferenceStorage
  ) throws(MoEError) {
    try storage.store(slice, at: slot.rawValue)
  }

  public func finish(_ slot: LocalExpert, in storage: ReferenceStorage) throws(MoEError) { try storage.finish(slot) }

  public func setInputScales(_ scales: InputScales, in storage: ReferenceStorage) throws(MoEError) {
    storage.inputScales.withLock { $0 = scales }
  }

  public func inputScales(of storage: ReferenceStorage) -> InputScales? { storage.inputScales.withLock { $0 } }

  public func withBytes<Value>(
    of slot: LocalExpert, in storage: ReferenceStorage, _ body: (UnsafeRawBufferPointer) throws(MoEError) -> Value
  ) throws(MoEError) -> Value {
    let values = try storage.values(of: slot.rawValue)
    let result = unsafe values.withUnsafeBytes { bytes -> Result<Value, MoEError> in
      do throws(MoEError) {
        return .success(try unsafe body(bytes))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  public func replace(
    _ slot: LocalExpert, in storage: ReferenceStorage, with bytes: UnsafeRawBufferPointer
  ) throws(MoEError) {
    try checkRegion(bytes.count, of: storage.layout)
    let values = (0..<bytes.count / MemoryLayout<Float>.stride).map { index in
      unsafe bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Float>.stride, as: Float.self)
    }
    try storage.set(values, at: slot.rawValue)
  }
}

// MARK: - Running

extension ReferenceBackend {
  public var rowType: ElementType { .f64 }

  public func forwardRows(
    _ storage: ReferenceStorage, hidden: HostBuffer, ids: HostBuffer, weights: HostBuffer, indices: HostBuffer,
    tokenCount: Int, topK: Int, into rows: HostBuffer, on queue: HostQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    let specification = storage.layout.specification
    let width = specification.hiddenSize
    let hidden = unsafe try hidden.elements(tokenCount * width, as: Float.self)
    let ids = unsafe try ids.elements(tokenCount * topK, as: Int32.self)
    let weights = unsafe try weights.elements(tokenCount * topK, as: Float.self)
    let indices = unsafe try indices.elements(tokenCount * topK, as: Int32.self)
    let (schemes, scales) = (storage.layout.activations, storage.inputScales.withLock { $0 })
    // A row for each slot with an expert: what a product multiplies, and what may share a scale.
    let slots = (0..<tokenCount * topK).filter { unsafe ids[$0] >= 0 }
    let rowCount = slots.map { unsafe Int(indices[$0]) + 1 }.max() ?? 0
    let output = unsafe try rows.elements(rowCount * width, as: Double.self)
    var values = slots.map { slot in
      let weight = specification.weightOnInput ? unsafe Double(weights[slot]) : 1
      return (0..<width).map { unsafe weight * Double(hidden[slot / topK * width + $0]) }
    }
    try schemes.gateUp.apply(to: &values, scale: scales.gateUp)
    for (row, slot) in slots.enumerated() {
      let expert = try unsafe storage.weights(of: Int(ids[slot]))
      let up = expert.apply(.up, to: values[row])
      let gate = specification.activation.isGated ? expert.apply(.gate, to: values[row]) : up
      values[row] = zip(gate, up).map { specification.activation(gate: $0, up: $1) }
    }
    try schemes.down.apply(to: &values, scale: scales.down)
    for (row, slot) in slots.enumerated() {
      let result = try unsafe storage.weights(of: Int(ids[slot])).apply(.down, to: values[row])
      for (column, value) in result.enumerated() { unsafe output[Int(indices[slot]) * width + column] = value }
    }
  }

  public func combine(
    _ storage: ReferenceStorage, rows: HostBuffer, ids: HostBuffer, weights: HostBuffer, indices: HostBuffer,
    tokenCount: Int, topK: Int, into output: HostBuffer, on queue: HostQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount, topK)
    let specification = storage.layout.specification
    let width = specification.hiddenSize
    let ids = unsafe try ids.elements(tokenCount * topK, as: Int32.self)
    let weights = unsafe try weights.elements(tokenCount * topK, as: Float.self)
    let indices = unsafe try indices.elements(tokenCount * topK, as: Int32.self)
    let output = unsafe try output.elements(tokenCount * width, as: Float.self)
    for token in 0..<tokenCount {
      var sums = [Double](repeating: 0, count: width)
      for slot in token * topK..<(token + 1) * topK where unsafe ids[slot] >= 0 {
        let weight = specification.weightOnInput ? 1 : unsafe Double(weights[slot])
        let row = unsafe Int(indices[slot])
        let values = unsafe try rows.elements((row + 1) * width, as: Double.self)
        for column in 0..<width { unsafe sums[column] += weight * values[row * width + column] }
      }
      for (column, sum) in sums.enumerated() { unsafe output[token * width + column] = Float(sum) }
    }
  }

  public func makeLinear(
    weights: [Float], rows: Int, columns: Int, bias: [Float]?
  ) throws(MoEError) -> ReferenceLinear {
    try validateMatrix(weights, rows: rows, columns: columns, bias: bias)
    return ReferenceLinear(weights: weights, rows: rows, columns: columns, bias: bias)
  }

  public func rowCount(of linear: ReferenceLinear) -> Int { linear.rows }

  public func apply(
    _ linear: ReferenceLinear, to input: HostBuffer, tokenCount: Int, into output: HostBuffer, on queue: HostQueue
  ) throws(MoEError) {
    try validateBatch(tokenCount)
    let input = unsafe try input.elements(tokenCount * linear.columns, as: Float.self)
    let output = unsafe try output.elements(tokenCount * linear.rows, as: Float.self)
    for token in 0..<tokenCount {
      for row in 0..<linear.rows {
        var sum = linear.bias.map { Double($0[row]) } ?? 0
        for column in 0..<linear.columns {
          sum +=
            unsafe Double(linear.weights[row * linear.columns + column])
            * Double(input[token * linear.columns + column])
        }
        unsafe output[token * linear.rows + row] = Float(sum)
      }
    }
  }
}
