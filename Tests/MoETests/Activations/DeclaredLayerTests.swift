// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import Tensors
import Testing

/// A layer that is small enough for a pencil.
@Suite struct DeclaredLayerTests {
  /// One expert, H = 2, I = 2; down sums the intermediate.
  private static func run(_ scheme: ActivationScheme, _ hidden: [Float], scales: InputScales? = nil) throws -> [Float] {
    var specification = LayerSpecification(expertCount: 1, hiddenSize: 2, intermediateSize: 2, elementType: .f32)
    specification.activations = ActivationSchemes(gateUp: scheme, down: scheme)
    let backend = ReferenceBackend(activations: .declared)
    let storage = try backend.allocate(backend.layout(of: specification))
    let matrices: [(Projection, [Float])] = [
      (.gate, [0.125, 0, 0.125, 0]), (.up, [0, 1.0 / 448, 0, 1.0 / 1024]), (.down, [1, 1, 0, 1]),
    ]
    try unsafe matrices.flatMap(\.1).withUnsafeBytes { bytes in
      var parameters = ExpertParameters()
      for (index, matrix) in matrices.enumerated() {
        parameters[matrix.0, .weight] = unsafe ParameterView(
          base: bytes.baseAddress! + 16 * index, elementType: .f32, rows: 2, columns: 2, rowStride: 2, columnStride: 1)
      }
      try backend.store(parameters, slot: LocalExpert(rawValue: 0), in: storage)
    }
    if let scales { try backend.setInputScales(scales, in: storage) }
    let tokens = hidden.count / 2
    let routing = try Routing(
      topK: 2, ids: (0..<2 * tokens).map { $0 % 2 == 0 ? 0 : -1 },
      weights: (0..<2 * tokens).map { $0 % 2 == 0 ? 0.5 : 0 })
    return try backend.forward(storage, hidden: hidden, routing: routing)
  }

  /// silu(2), of which the second row of up makes 448 / 1024 = 196 / 448; the codes next to 196 are 192 and 208.
  private static let silu = 2 / (1 + exp(-2.0))

  @Test func perToken() throws {
    // The input of scale 1: 17 becomes 16, the gate 2, up 1 and 448 / 1024.
    let found = try Self.run(.token(.fp8), [17, 448])
    let intermediate = [Self.silu, Self.silu * 192 / 448]
    expectClose(found, [Float(0.5 * (intermediate[0] + intermediate[1])), Float(0.5 * intermediate[1])], bound: 1e-6)
    expectClose(
      try Self.run(.unquantized, [16, 448])[1...].map(\.self), [Float(0.5 * Self.silu * 196 / 448)], bound: 1e-6)
  }

  /// Of a batch, the greatest of all routed rows gives the scale, in both products.
  @Test func dynamicPerTensor() throws {
    let scheme = ActivationScheme.tensor(.fp8, isStatic: false)
    let alone = try Self.run(scheme, [17, 448])
    expectClose(alone, try Self.run(.token(.fp8), [17, 448]), bound: 1e-6)
    let together = try Self.run(scheme, [17, 448, 896, 0])
    // With the scale 2: 17 / 2 = 8.5 becomes 8, still 16. The second token's intermediate is 0, so that nothing changes.
    expectClose(Array(together[..<2]), alone, bound: 1e-6)
    #expect(together[2...].allSatisfy { $0 == 0 })
    // With the scale 4096, 19 is 2.4 of the least codes and becomes 2 of them, where the scale 1 makes it 20.
    let scaled = try Self.run(scheme, [19, 448, 448 * 4096, 0])
    expectClose(Array(scaled[..<2]), try Self.run(.token(.fp8), [16, 448]), bound: 1e-6)
    expectClose(try Self.run(scheme, [19, 448]), try Self.run(.token(.fp8), [20, 448]), bound: 1e-6)
  }

  @Test func staticPerTensor() throws {
    let scheme = ActivationScheme.tensor(.fp8, isStatic: true)
    expectFault(.invalidArgument, "static") { _ = try Self.run(scheme, [17, 448]) }
    let scales = InputScales(gateUp: 1, down: Float(Self.silu / 448))
    let same = try Self.run(scheme, [17, 448], scales: scales)
    expectClose(same, try Self.run(.token(.fp8), [17, 448]), bound: 1e-6)
    // Half the scale clips: 448 becomes 224, and up ½.
    let clipped = try Self.run(scheme, [17, 448], scales: InputScales(gateUp: 0.5, down: Float(Self.silu / 448)))
    #expect(abs(Double(clipped[1]) / Double(same[1]) - 96.0 / 192) <= 1e-6)
  }

  @Test func unknownSchemesAreRefused() throws {
    expectFault(.unsupportedByBackend, "float5") { _ = try Self.run(.unknown("float5 token"), [17, 448]) }
  }
}
