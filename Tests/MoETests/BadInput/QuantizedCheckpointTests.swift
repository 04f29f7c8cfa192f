// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import Testing

/// Quantised experts: refused in one sentence, whatever their format.
@Suite struct QuantizedCheckpointTests {
  /// The endings and types of the formats, and what is left of the plain weight.
  static let formats: [(method: String, keepsWeight: ElementType?, extra: [String])] = [
    ("fp8", .f8e4m3, ["weight_scale_inv"]), ("fp8", .f8e4m3, ["weight_scale", "input_scale"]),
    ("gptq", nil, ["qweight", "qzeros", "scales", "g_idx"]), ("awq", nil, ["qweight", "qzeros", "scales"]),
    ("compressed-tensors", nil, ["weight_packed", "weight_scale", "weight_shape"]),
    ("compressed-tensors", .i8, ["weight_scale"]), ("modelopt", .u8, ["weight_scale", "weight_scale_2"]),
    ("bitsandbytes", .u8, ["weight.absmax", "weight.quant_map"]), ("bitsandbytes", .i8, ["SCB"]),
    ("mxfp8", .f8e5m2, ["weight_scale"]),
  ]

  @Test(arguments: formats.indices) func perExpert(index: Int) throws {
    let format = Self.formats[index]
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["DeepSeek-V3"]))
    fixture.configuration["quantization_config"] = ["quant_method": .string(format.method)]
    for (name, tensor) in fixture.tensors where name.contains(".experts.") && name.hasSuffix(".weight") {
      fixture.remove(name)
      if let type = format.keepsWeight { fixture.add(name, type, tensor.shape) }
      for ending in format.extra { fixture.add(String(name.dropLast("weight".count)) + ending, .i32, [4]) }
    }
    expectFaults(
      [.unsupported], ["quantised experts are not read by this version", format.method, "experts.0.", "2 layer(s)"]
    ) { try fixture.open() }
  }

  @Test(arguments: ["_blocks", "_packed"]) func fused(ending: String) throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["gpt-oss"]))
    fixture.configuration["quantization_config"] = ["quant_method": "mxfp4"]
    for (name, _) in fixture.tensors where name.hasSuffix("gate_up_proj") || name.hasSuffix("down_proj") {
      fixture.remove(name)
      fixture.add(name + ending, .u8, [8, 24, 1, 16])
      fixture.add(name + "_scales", .u8, [8, 24, 1])
    }
    expectFaults([.unsupported], ["quantised experts are not read by this version", "mxfp4", ending]) {
      try fixture.open()
    }
  }

  @Test func fusedFloat8() throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["Granite-MoE"]))
    for layer in 0...1 {
      for name in ["input_linear", "output_linear"] {
        fixture.reshape("model.layers.\(layer).block_sparse_moe.\(name).weight", .f8e4m3)
      }
    }
    expectFaults([.unsupported], ["F8_E4M3"]) { try fixture.open() }
  }

  /// What the oracle has of quantised checkpoints, made by the libraries of their formats.
  static let folders = (try? FileManager.default.contentsOfDirectory(atPath: Oracle.folder.path)) ?? []

  @Test(arguments: folders.filter { $0.hasPrefix("q_") }.sorted()) func ofTheOracle(name: String) {
    expectFaults([.unsupported], ["quantised experts are not read by this version"]) {
      _ = try MoEModel(opening: Oracle.folder.path + "/" + name)
    }
  }

  /// The tensors decide: a model whose experts were left out of the quantisation is plain.
  @Test func plainExpertsOfAQuantisedModel() throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["DeepSeek-V3"]))
    fixture.configuration["quantization_config"] = ["quant_method": "fp8", "modules_to_not_convert": ["experts"]]
    try fixture.open()
    fixture.reshape("model.layers.1.mlp.shared_experts.up_proj.weight", .f8e4m3)
    expectFaults([.typeMismatch], ["shared_experts.up_proj", "quantised"]) { try fixture.open() }
  }
}
