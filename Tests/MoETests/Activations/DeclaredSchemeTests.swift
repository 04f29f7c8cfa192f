// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// What configurations declare for activations.
@Suite struct DeclaredSchemeTests {
  typealias Headers = [String: ProjectionTensors.Header]

  static let fp8: Headers = [".weight": .init(.f8e4m3, [256, 256]), ".weight_scale": .init(.f32, [])]
  static let blocks: Headers = [".weight": .init(.f8e4m3, [256, 256]), ".weight_scale_inv": .init(.f32, [2, 2])]
  static let nvfp4: Headers = [
    ".weight": .init(.u8, [256, 128]), ".weight_scale": .init(.f8e4m3, [256, 16]), ".weight_scale_2": .init(.f32, []),
  ]
  static let mxfp4: Headers = [".weight": .init(.u8, [256, 128]), ".weight_scale": .init(.u8, [256, 8])]

  struct Example: Sendable, CustomTestStringConvertible {
    let scheme: ActivationScheme
    let settings: JSONValue
    let tensors: Headers

    init(_ scheme: ActivationScheme, _ settings: JSONValue, _ tensors: Headers) {
      self.scheme = scheme
      self.settings = settings
      self.tensors = tensors
    }

    var testDescription: String { "\(scheme): \(settings.serialized())" }
  }

  private static func compressed(_ input: JSONValue) -> JSONValue {
    [
      "quant_method": "compressed-tensors",
      "config_groups": [
        "group_0": [
          "targets": ["Linear"], "weights": ["num_bits": 8, "type": "float", "strategy": "tensor"],
          "input_activations": input,
        ]
      ],
    ]
  }

  private static func quark(_ input: JSONValue) -> JSONValue {
    ["quant_method": "quark", "global_quant_config": ["input_tensors": input]]
  }

  static let examples: [Example] = [
    Example(.unquantized, ["quant_method": "fp8"], fp8),
    Example(.tensor(.fp8, isStatic: true), ["quant_method": "fp8", "activation_scheme": "static"], fp8),
    Example(.tensor(.fp8, isStatic: false), ["quant_method": "fp8", "activation_scheme": "dynamic"], fp8),
    Example(.unknown("float8 tensor often"), ["quant_method": "fp8", "activation_scheme": "often"], fp8),
    Example(
      .group(128), ["quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]], blocks),
    Example(
      .group(128, isPowerOfTwo: true),
      [
        "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128], "scale_fmt": "ue8m0",
      ], blocks),
    Example(
      .unknown("float8 group128 static"),
      ["quant_method": "fp8", "activation_scheme": "static", "weight_block_size": [128, 128]], blocks),
    Example(.token(.fp8, limit: 1200), ["quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0], fp8),
    Example(.token(.fp8), ["quant_method": "fbgemm_fp8"], fp8),
    Example(.unquantized, compressed(nil), fp8),
    Example(
      .token(.fp8), compressed(["num_bits": 8, "type": "float", "strategy": "token", "dynamic": true]), fp8),
    Example(
      .tensor(.fp8, isStatic: true),
      compressed(["num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": false]), fp8),
    Example(.token(.int8), compressed(["num_bits": 8, "type": "int", "strategy": "token", "dynamic": true]), fp8),
    Example(
      .unknown("int8 token dynamic asymmetric"),
      compressed(["num_bits": 8, "type": "int", "strategy": "token", "dynamic": true, "symmetric": false]), fp8),
    Example(
      .nvfp4(isStatic: true),
      compressed(["num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "dynamic": "local"]),
      fp8),
    Example(
      .mxfp4,
      compressed(["num_bits": 4, "type": "float", "strategy": "group", "group_size": 32, "dynamic": true]), fp8),
    Example(.tensor(.fp8, isStatic: true), ["quant_method": "modelopt", "quant_algo": "FP8"], fp8),
    Example(.token(.fp8), ["quant_method": "modelopt", "quant_algo": "FP8_PER_CHANNEL_PER_TOKEN"], fp8),
    Example(.nvfp4(isStatic: true), ["quant_method": "modelopt", "quant_algo": "NVFP4"], nvfp4),
    Example(.unquantized, ["quant_method": "modelopt", "quant_algo": "W4A16_NVFP4"], nvfp4),
    Example(.unknown("quant_algo MXFP4"), ["quant_method": "modelopt", "quant_algo": "MXFP4"], mxfp4),
    Example(
      .tensor(.fp8, isStatic: false), ["quant_method": "modelopt", "quant_algo": "W4A8_MXFP4_FP8"], mxfp4),
    Example(
      .tensor(.fp8, isStatic: true), ["quant_method": "modelopt", "quant_algo": "W4A8_MXFP4_FP8"],
      mxfp4.merging([".input_scale": .init(.f32, [])]) { $1 }),
    Example(
      .tensor(.fp8, isStatic: true), quark(["dtype": "fp8_e4m3", "qscheme": "per_tensor", "is_dynamic": false]), fp8),
    Example(.token(.fp8), quark(["dtype": "fp8_e4m3", "qscheme": "per_channel", "is_dynamic": true]), fp8),
    Example(.mxfp4, quark(["dtype": "fp4", "qscheme": "per_group", "group_size": 32, "is_dynamic": true]), mxfp4),
    Example(.unquantized, quark(nil), fp8),
    Example(.unquantized, ["quant_method": "auto-round", "act_bits": 16], mxfp4),
    Example(
      .unknown("act_bits 8, mx_fp"), ["quant_method": "auto-round", "act_bits": 8, "act_data_type": "mx_fp"], mxfp4),
  ]

  private func scheme(_ settings: JSONValue, _ tensors: Headers) throws -> any QuantizationScheme {
    try QuantizationRegistry.standard.scheme(
      of: ProjectionTensors("m.experts.0.up_proj", tensors),
      QuantizationSettings(["quantization_config": settings], file: "config.json"))
  }

  @Test(arguments: examples) func declared(_ example: Example) throws {
    let scheme = try scheme(example.settings, example.tensors)
    #expect(scheme.parameters.activations == example.scheme)
    let roles: [TensorRole] = [.inputScale, .inputGlobalScale]
    #expect(scheme.tensors.contains { roles.contains($0.role) && $0.isRequired } == example.scheme.isStatic)
  }

  @Test func wrongTypes() {
    for settings: JSONValue in [
      ["quant_method": "fp8", "activation_scheme": 1], ["quant_method": "fbgemm_fp8", "activation_scale_ub": "high"],
      Self.compressed(["num_bits": "8"]), Self.compressed([1]), Self.quark(["dtype": 8]),
    ] {
      expectFault(.configuration) { _ = try scheme(settings, Self.fp8) }
    }
  }
}
