// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Testing

/// Quantised checkpoints with activations as they declare them, against the same with activations in 32 bits.
@Suite struct DeclaredOracleTests {
  static let folders = Oracle.folders.filter { $0.split(separator: "/").last!.hasPrefix("q_") }

  /// How far the output may be from that of 32 bits, relative.
  ///
  /// An input of normal deviates loses ε: e4m3 has 8 steps to a power of two, of which uniform errors are 2.6 %; int8 has
  /// 127 to the greatest magnitude, about three deviations, 0.7 %; e2m1 with a scale for 16 about 10 %. A product of
  /// random weights keeps ε. Gate and up have errors of their own, the activation stretches the gate's by up to 1.3, and
  /// the second input loses ε once more (of int8 twice that, as its tail is longer): ε · √(1 + 1.3² + 1) ≈ 2 ε, or 2.7 ε.
  /// The scales that are stored in the cases clip the greatest inputs of the second product, a few of eight thousand, and
  /// those weigh the most: by a calculation apart from this one 0.126 to 0.150 for three seeds, 0.044 to 0.049 unclipped.
  private static func bound(_ scheme: ActivationScheme) -> Double {
    switch scheme {
    case .tensor(.fp8, isStatic: true): 0.2
    case .tensor(.fp8, _), .token(.fp8, _), .group, .mxfp8: 0.052
    case .tensor(.int8, _), .token(.int8, _): 0.02
    case .mxfp4, .nvfp4: 0.3
    case .unquantized, .unknown: 0
    }
  }

  @Test(arguments: folders) func declared(folder: String) throws {
    let oracleCase = try OracleCase(folder)
    let model = try MoEModel(opening: folder)
    for index in oracleCase.layers {
      let plan = try model.layer(index)
      let recording = try oracleCase.recording(of: index)
      let hidden = try #require(try recording.floats("input"))
      let input = MoEInput(tokenIDs: try recording.integers("input_ids"))
      func routed(_ activations: ActivationPrecision) throws -> [Float] {
        try MoELayer(plan, of: model, on: ReferenceBackend(activations: activations)).forward(hidden, input).routed
      }
      let (declared, plain) = (try routed(.declared), try routed(.f32))
      let schemes = plan.specification.activations
      guard schemes != .unquantized else {
        expectSameBits(declared, plain, oracleCase.name)
        _ = try LoadPlan(plan.experts, on: CPUBackend(activations: .declared))
        continue
      }
      #expect(schemes.gateUp == schemes.down)
      let error = relativeError(declared, plain)
      #expect(error > 0.005 && error <= Self.bound(schemes.gateUp), "\(oracleCase.name): \(error), \(schemes)")
      expectFaults([.unsupportedByBackend], ["--backend reference", "\(schemes)"]) {
        _ = try LoadPlan(plan.experts, on: CPUBackend(activations: .declared))
      }
    }
  }
}
