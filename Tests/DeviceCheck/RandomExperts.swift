// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors

/// SplitMix64.
struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Uniform numbers of a standard deviation.
func randomValues(_ count: Int, seed: UInt64, deviation: Float = 1) -> [Float] {
  var generator = Generator(state: seed)
  let amplitude = deviation * Float(3).squareRoot() * 0x1p-31
  return (0..<count).map { _ in Float(Int32(truncatingIfNeeded: generator.next() >> 32)) * amplitude }
}

/// Experts of random weights of one type, the same on every backend: as codes where it keeps them, else decoded.
struct RandomExperts {
  private(set) var specification: LayerSpecification
  private let elementType: ElementType
  private let experts: [[Projection: Matrix]]

  private struct Matrix {
    var bytes: [UInt8]
    var bias: [UInt8]
    var codes: CodedWeights?
  }

  init(_ base: LayerSpecification, _ type: WeightType) throws {
    specification = try base.converted(to: type)
    let elementType = type.elementType ?? .f32
    self.elementType = elementType
    experts = try (0..<base.expertCount).map { expert in
      var matrices: [Projection: Matrix] = [:]
      for (index, projection) in base.projections.enumerated() {
        let (rows, columns) = base.size(of: projection)
        let seed = UInt64(1000 * expert + 10 * index)
        let values = randomValues(rows * columns, seed: seed, deviation: 1.3 / Float(columns).squareRoot())
        let bias = ElementType.f32.encode(randomValues(rows, seed: seed + 1, deviation: 0.5))
        if type.elementType != nil {
          matrices[projection] = Matrix(bytes: elementType.encode(values), bias: bias)
          continue
        }
        let decoder = try type.scheme.decoder(of: type.scheme.encode(values, rows: rows, columns: columns))
        matrices[projection] = Matrix(
          bytes: ElementType.f32.encode(decoder.decode()), bias: bias,
          codes: decoder.coded(rows: 0..<rows, columns: 0..<columns))
      }
      return matrices
    }
  }

  /// The same with activations that are declared.
  func declaring(_ activations: ActivationSchemes) -> Self {
    var declared = self
    declared.specification.activations = activations
    return declared
  }

  func store<B: Backend>(on backend: B) throws -> B.Storage {
    let layout = try backend.layout(of: specification)
    let storage = try backend.allocate(layout)
    for (slot, matrices) in experts.enumerated() {
      var views = ExpertParameters()
      var kept: [[UInt8]] = []
      var places: [(Projection, TensorRole, ElementType, Int)] = []
      for (projection, matrix) in matrices {
        if layout.codes[projection] != nil { views.codes[projection] = matrix.codes }
        kept.append(matrix.bytes)
        places.append((projection, .weight, elementType, specification.size(of: projection).columns))
        guard specification.hasBias else { continue }
        kept.append(matrix.bias)
        places.append((projection, .bias, .f32, 1))
      }
      // One array, so that all views stay valid during the call.
      let offsets = kept.reduce(into: [0]) { $0.append($0.last! + $1.count) }
      try unsafe Array(kept.joined()).withUnsafeBytes { bytes in
        for (index, (projection, role, type, columns)) in places.enumerated() {
          views[projection, role] = unsafe ParameterView(
            base: bytes.baseAddress! + offsets[index], elementType: type,
            rows: specification.size(of: projection).rows, columns: columns, rowStride: columns, columnStride: 1)
        }
        try backend.store(views, slot: LocalExpert(rawValue: slot), in: storage)
      }
    }
    return storage
  }
}
