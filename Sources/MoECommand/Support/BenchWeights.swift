// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// Random experts of any type, made once and stored in every slot.
struct BenchWeights {
  private let specification: LayerSpecification
  /// The numbers that dense experts are cut from: each begins a little further on.
  private let pool: [UInt8]
  private let elementType: ElementType
  /// One expert of a quantised type; every slot has a copy of its own.
  private let codes: [Projection: CodedWeights]

  /// Dense experts begin at multiples of this many elements, this many different ones.
  private static let (step, starts) = (64, 61)

  init(_ specification: LayerSpecification, _ type: WeightType) throws(MoEError) {
    self.specification = specification
    let values = RandomValues.uniform(
      count: specification.parametersPerExpert + Self.step * Self.starts,
      deviation: 1 / Float(specification.hiddenSize).squareRoot(), seed: 1)
    elementType = type.elementType ?? .f32
    guard type.elementType == nil else {
      pool = elementType.encode(values)
      codes = [:]
      return
    }
    var codes: [Projection: CodedWeights] = [:]
    var decoded: [Float] = []
    for projection in specification.projections {
      let (rows, columns) = specification.size(of: projection)
      let stored = try type.scheme.encode(
        Array(values[decoded.count..<decoded.count + rows * columns]), rows: rows, columns: columns)
      let decoder = try type.scheme.decoder(of: stored)
      codes[projection] = decoder.coded(rows: 0..<rows, columns: 0..<columns)
      decoded += decoder.decode()
    }
    self.codes = codes
    pool = ElementType.f32.encode(decoded)
  }

  /// Stores expert `experts[slot]` in each slot, as codes where the backend keeps them.
  func fill<B: Backend>(_ storage: B.Storage, of backend: B, experts: [Int]) throws(MoEError) {
    let keepsCodes = try !backend.layout(of: specification).codes.isEmpty
    try WorkerPool.shared.tryForEach(experts.count) { (slot) throws(MoEError) in
      try store(experts[slot], in: LocalExpert(rawValue: slot), of: storage, backend, keepsCodes: keepsCodes)
    }
  }

  private func store<B: Backend>(
    _ expert: Int, in slot: LocalExpert, of storage: B.Storage, _ backend: B, keepsCodes: Bool
  ) throws(MoEError) {
    let width = elementType.bitWidth / 8
    let result = unsafe pool.withUnsafeBytes { bytes -> Result<Void, MoEError> in
      var parameters = ExpertParameters()
      if keepsCodes { parameters.codes = codes }
      var offset = codes.isEmpty ? expert % Self.starts * Self.step : 0
      for projection in specification.projections {
        let (rows, columns) = specification.size(of: projection)
        parameters[projection, .weight] = unsafe ParameterView(
          base: bytes.baseAddress! + offset * width, elementType: elementType, rows: rows, columns: columns,
          rowStride: columns, columnStride: 1)
        offset += rows * columns
      }
      do throws(MoEError) {
        return .success(try backend.store(parameters, slot: slot, in: storage))
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }
}
