// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// Experts of random values in memory, the same for every backend.
struct RandomExperts {
  let specification: LayerSpecification
  /// Row-major matrices and biases, decoded from the stored type.
  let values: [[Key: [Float]]]

  struct Key: Hashable {
    var projection: Projection
    var role: TensorRole
  }

  init(_ specification: LayerSpecification, seed: UInt64) {
    self.specification = specification
    let type = specification.elementType
    values = (0..<specification.expertCount).map { expert in
      var ofExpert: [Key: [Float]] = [:]
      for (index, projection) in Projection.allCases.enumerated() where specification.projections.contains(projection) {
        let (rows, columns) = specification.size(of: projection)
        let seed = seed &* 1000 &+ UInt64(expert * 10 + index * 2)
        // So that the sums have a deviation of about 1, and clamps bite.
        let weights = randomValues(rows * columns, seed: seed, deviation: 1.3 / Double(columns).squareRoot())
        ofExpert[Key(projection: projection, role: .weight)] = type.decode(type.encode(weights))
        if specification.hasBias {
          let bias = randomValues(rows, seed: seed + 1, deviation: 0.5)
          ofExpert[Key(projection: projection, role: .bias)] = type.decode(type.encode(bias))
        }
      }
      return ofExpert
    }
  }

  /// Stores all experts on a backend.
  func store<B: Backend>(on backend: B) throws -> B.Storage {
    let storage = try backend.allocate(backend.layout(of: specification))
    for expert in 0..<specification.expertCount { try store(expert, on: backend, in: storage, at: expert) }
    return storage
  }

  func store<B: Backend>(_ expert: Int, on backend: B, in storage: B.Storage, at slot: Int) throws {
    let type = specification.elementType
    let tensors = values[expert].sorted { "\($0.key)" < "\($1.key)" }
    let bytes = tensors.flatMap { type.encode($0.value) }
    let width = type.bitWidth / 8
    try unsafe bytes.withUnsafeBytes { bytes in
      var parameters = ExpertParameters()
      var offset = 0
      for (key, values) in tensors {
        let size = specification.size(of: key.projection)
        let columns = key.role == .bias ? 1 : size.columns
        parameters[key.projection, key.role] = unsafe ParameterView(
          base: bytes.baseAddress! + offset, elementType: type, rows: size.rows, columns: columns, rowStride: columns,
          columnStride: 1)
        offset += values.count * width
      }
      try backend.store(parameters, slot: LocalExpert(rawValue: slot), in: storage)
    }
  }
}

extension RandomExperts {
  /// The output in Float64 by the plainest loops: what section 5 of a textbook would say.
  func expected(_ hidden: [Float], _ routing: Routing, activation: (Double, Double) -> Double) -> [Float] {
    let (width, inner) = (specification.hiddenSize, specification.intermediateSize)
    var output = [Float](repeating: 0, count: hidden.count)
    for token in 0..<routing.tokenCount {
      var sums = [Double](repeating: 0, count: width)
      for slot in routing.slots(of: token) where routing.ids[slot] >= 0 {
        let tensors = values[Int(routing.ids[slot])]
        let weight = Double(routing.weights[slot])
        let input = (0..<width).map {
          Double(hidden[token * width + $0]) * (specification.weightOnInput ? weight : 1)
        }
        func product(_ projection: Projection, _ x: [Double], rows: Int) -> [Double] {
          guard let matrix = tensors[Key(projection: projection, role: .weight)] else {
            return Array(repeating: 0, count: rows)
          }
          let bias = tensors[Key(projection: projection, role: .bias)]
          return (0..<rows).map { row in
            x.indices.reduce(Double(bias?[row] ?? 0)) { $0 + Double(matrix[row * x.count + $1]) * x[$1] }
          }
        }
        let gate = product(.gate, input, rows: inner)
        let up = product(.up, input, rows: inner)
        let result = product(.down, zip(gate, up).map(activation), rows: width)
        for index in 0..<width { sums[index] += (specification.weightOnInput ? 1 : weight) * result[index] }
      }
      for index in 0..<width { output[token * width + index] = Float(sums[index]) }
    }
    return output
  }
}
