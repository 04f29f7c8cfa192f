// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

@Suite struct WeightTypeTests {
  static let names = [
    "f32", "f16", "bf16", "fp8-tensor", "fp8-channel", "fp8-block", "int8-channel", "int8-g128", "int4-g32",
    "int4-g128-asym", "mxfp4", "mxfp8", "nvfp4", "nf4", "q8_0", "q4_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k",
    "iq4_nl", "iq4_xs", "q4_1", "q5_0", "q5_1", "tq1_0", "tq2_0",
  ]

  @Test(arguments: names) func roundTrip(name: String) throws {
    let type = try WeightType(parsing: name)
    #expect("\(type)" == name)
    #expect(try WeightType(parsing: name.uppercased()) == type)
    #expect((type.container == .gguf) == (type.ggmlType != nil))
  }

  @Test func everyNameIsListed() { #expect(WeightType.allNames.count == Self.names.count) }

  @Test(arguments: [
    "", "int4", "int4-g", "int4-g100", "int4-g-asym", "int4-g128-sym", "q4_K_M", "fp8", "int8-g128-asym",
  ])
  func unknown(name: String) {
    expectFault(.invalidArgument, name == "int4-g100" ? "16, 32, 64" : "int4-gN-asym") {
      _ = try WeightType(parsing: name)
    }
  }

  /// Bits per weight are those of the tensors that are written, up to scales of rows.
  @Test(arguments: names) func bits(name: String) throws {
    let type = try WeightType(parsing: name)
    let scheme = type.scheme
    guard type.ggmlType == nil else {
      return #expect(type.bitsPerWeight == type.ggmlType?.bitsPerElement)
    }
    let bytes = try scheme.encodedTensors(rows: 2048, columns: 2048).reduce(0) {
      $0 + $1.header.elementType.byteCount(of: $1.header.shape.elementCount!)!
    }
    #expect((Double(8 * bytes) / (2048 * 2048) - type.bitsPerWeight).magnitude < 0.02)
  }

  /// What is written is recognised as what it is, by the tensors and the configuration that go with it.
  @Test(arguments: names) func recognised(name: String) throws {
    let type = try WeightType(parsing: name)
    let scheme = type.scheme
    guard type.ggmlType == nil else { return #expect(type.quantizationConfiguration(ignoring: []) == nil) }
    let configuration = type.quantizationConfiguration(ignoring: ["lm_head", "model.layers.0.mlp.gate"])
    let settings = try QuantizationSettings(
      ["quantization_config": configuration ?? .null], file: "config.json")
    #expect(settings.ignores("model.layers.0.mlp.gate") == (configuration != nil))
    var tensors: [String: ProjectionTensors.Header] = [:]
    for (tensor, header) in try scheme.encodedTensors(rows: 256, columns: 512) { tensors[tensor.suffixes[0]] = header }
    let found = ProjectionTensors("model.layers.0.mlp.experts.0.up_proj", tensors)
    let recognised = try QuantizationRegistry.standard.scheme(of: found, settings)
    #expect(recognised.name == scheme.name)
    // What is declared for activations is a matter of the configuration alone.
    var expected = scheme.parameters
    expected.activations = recognised.parameters.activations
    #expect(recognised.parameters == expected)
    #expect(recognised.faults(in: found, rows: 256, columns: 512) == [])
  }
}
