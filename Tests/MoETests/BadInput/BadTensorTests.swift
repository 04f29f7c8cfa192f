// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Every expert, every tensor, exactly once, of the declared shape and of a type that means something.
@Suite struct BadTensorTests {
  static let layer = "model.layers.0.mlp."
  static let last = "model.layers.2.mlp."

  static let missing = [
    BadCheckpoint("an expert's matrix", [.missingTensor], "layers.0.mlp.experts.3.up_proj.weight", "expert 3's up") {
      $0.remove(layer + "experts.3.up_proj.weight")
    },
    BadCheckpoint(
      "a whole expert", [.missingTensor, .missingTensor, .missingTensor], "experts.7.gate_proj", "experts.7.down_proj"
    ) {
      for projection in ["gate", "up", "down"] { $0.remove(layer + "experts.7.\(projection)_proj.weight") }
    },
    BadCheckpoint(
      "one expert more in the configuration",
      [
        .missingTensor, .missingTensor, .missingTensor, .missingTensor, .missingTensor, .missingTensor, .shapeMismatch,
        .shapeMismatch,
      ], "experts.8.up_proj", "[9, 32]"
    ) {
      $0.configuration["num_experts"] = 9
    },
    BadCheckpoint("the gate", [.missingTensor], "layers.0.mlp.gate.weight", "gate is missing") {
      $0.remove(layer + "gate.weight")
    },
    BadCheckpoint(
      "the correction bias", of: "DeepSeek-V3", [.missingTensor], "layers.2.mlp.gate.e_score_correction_bias", "one of"
    ) {
      $0.remove(last + "gate.e_score_correction_bias")
    },
    BadCheckpoint(
      "the shared experts", [.missingTensor, .missingTensor, .missingTensor], "mlp.shared_expert.gate_proj.weight",
      "shared experts'"
    ) {
      for projection in ["gate", "up", "down"] { $0.remove(layer + "shared_expert.\(projection)_proj.weight") }
    },
    BadCheckpoint(
      "one matrix of the shared experts", of: "DeepSeek-V3", [.missingTensor], "shared_experts.down_proj.weight"
    ) {
      $0.remove(last + "shared_experts.down_proj.weight")
    },
    BadCheckpoint("the gate of the shared experts", [.missingTensor], "mlp.shared_expert_gate.weight") {
      $0.remove(layer + "shared_expert_gate.weight")
    },
    BadCheckpoint("the experts behind a gate", [.missingTensor], "layers.0.mlp.gate.weight", "gate but no experts") {
      fixture in
      for name in fixture.tensors.keys where name.hasPrefix(layer + "experts.") { fixture.remove(name) }
    },
    BadCheckpoint("all experts of the model", [.missingTensor, .missingTensor], "gate but no experts") { fixture in
      for name in fixture.tensors.keys where name.contains(".experts.") { fixture.remove(name) }
    },
    BadCheckpoint("every layer", [.missingTensor], "no MoE layer found", "mlp.experts.{e}.up_proj") {
      $0.tensors = [:]
      $0.add("model.norm.weight", [32])
    },
    BadCheckpoint("a bias of one expert", of: "gpt-oss", [.missingTensor], "mlp.experts.down_proj_bias") {
      $0.remove(layer + "experts.down_proj_bias")
    },
    BadCheckpoint("the gate's bias", of: "gpt-oss", [.missingTensor], "mlp.router.bias") {
      $0.remove(layer + "router.bias")
    },
    BadCheckpoint(
      "a latent projection", of: "Nemotron-H MoE", [.missingTensor], "backbone.layers.1.mixer.fc2_latent_proj.weight"
    ) {
      $0.remove("backbone.layers.1.mixer.fc2_latent_proj.weight")
    },
    BadCheckpoint(
      "the scales of Gemma", of: "Gemma-4 MoE", [.missingTensor, .missingTensor], "router.scale",
      "router.per_expert_scale"
    ) {
      $0.remove("model.layers.0.router.scale")
      $0.remove("model.layers.0.router.per_expert_scale")
    },
    BadCheckpoint("half of a fused pair", of: "Granite-MoE", [.missingTensor], "block_sparse_moe.output_linear.weight")
    {
      $0.remove("model.layers.0.block_sparse_moe.output_linear.weight")
    },
  ]

  static let extra = [
    BadCheckpoint(
      "an expert too many", [.unexpectedTensor, .unexpectedTensor, .unexpectedTensor], "experts.8.up_proj.weight",
      "0..<8"
    ) {
      for projection in ["gate", "up"] { $0.add(layer + "experts.8.\(projection)_proj.weight", [12, 32]) }
      $0.add(layer + "experts.8.down_proj.weight", [32, 12])
    },
    BadCheckpoint(
      "one expert less in the configuration",
      [.shapeMismatch, .shapeMismatch] + Array(repeating: .unexpectedTensor, count: 6), "experts.7.up_proj.weight"
    ) {
      $0.configuration["num_experts"] = 7
    },
    BadCheckpoint("an unknown tensor of an expert", [.unexpectedTensor], "experts.2.up_proj.lora_A") {
      $0.add(layer + "experts.2.up_proj.lora_A", [4])
    },
    BadCheckpoint("a number with a zero before it", [.unexpectedTensor], "experts.03.up_proj.weight") {
      $0.add(layer + "experts.03.up_proj.weight", [12, 32])
    },
    BadCheckpoint("a bias of the last expert only", [.unexpectedTensor], "experts.7.up_proj.bias") {
      $0.add(layer + "experts.7.up_proj.bias", [12])
    },
    BadCheckpoint("a bias of the gate", [.unexpectedTensor], "mlp.gate.bias", "gate has a bias") {
      $0.add(layer + "gate.bias", [8])
    },
    BadCheckpoint("fused beside per expert", [.duplicateParameter], "more than once", "per expert", "fused") {
      $0.add(layer + "experts.gate_up_proj", [8, 24, 32])
      $0.add(layer + "experts.down_proj", [8, 32, 12])
    },
    BadCheckpoint(
      "two spellings of the experts", of: "Mixtral", [.duplicateParameter], "experts.{e}.w3", "experts.{e}.up_proj"
    ) {
      $0.add("model.layers.0.block_sparse_moe.experts.0.up_proj.weight", [12, 32])
    },
    BadCheckpoint(
      "shared experts that nobody declares", of: "Qwen3-MoE", [.unexpectedTensor], "mlp.shared_expert.up_proj",
      "declares none"
    ) {
      $0.add(layer + "shared_expert.up_proj.weight", [12, 32])
    },
    BadCheckpoint("a second stack", [.ambiguousLayout], "model.layers.", "other.layers.") { fixture in
      for (name, tensor) in fixture.tensors { fixture.tensors["other." + name.dropFirst(6)] = tensor }
    },
  ]

  static let wrong = [
    BadCheckpoint("one row too many", [.shapeMismatch], "experts.3.up_proj.weight", "[12, 32]", "[13, 32]") {
      $0.reshape(layer + "experts.3.up_proj.weight", nil, [13, 32])
    },
    BadCheckpoint("one column too few", [.shapeMismatch], "experts.0.down_proj.weight", "[32, 11]") {
      $0.reshape(layer + "experts.0.down_proj.weight", nil, [32, 11])
    },
    BadCheckpoint("transposed", [.shapeMismatch], "[32, 12]") {
      $0.reshape(layer + "experts.3.gate_proj.weight", nil, [32, 12])
    },
    BadCheckpoint("flat", [.shapeMismatch], "[384]") { $0.reshape(layer + "experts.3.gate_proj.weight", nil, [384]) },
    BadCheckpoint("a dimension of 1 before", [.shapeMismatch], "[1, 12, 32]") {
      $0.reshape(layer + "experts.3.gate_proj.weight", nil, [1, 12, 32])
    },
    BadCheckpoint("one element for all", [.shapeMismatch], "[1]") {
      $0.reshape(layer + "experts.3.gate_proj.weight", nil, [1])
    },
    BadCheckpoint("nothing in it", [.shapeMismatch], "[0, 32]") {
      $0.reshape(layer + "experts.3.gate_proj.weight", nil, [0, 32])
    },
    BadCheckpoint("the gate", [.shapeMismatch], "mlp.gate.weight", "[8, 31]") {
      $0.reshape(layer + "gate.weight", nil, [8, 31])
    },
    BadCheckpoint("the shared experts", [.shapeMismatch], "shared_expert.up_proj", "[20, 32]", "[19, 32]") {
      $0.reshape(layer + "shared_expert.up_proj.weight", nil, [19, 32])
    },
    BadCheckpoint("the shared gate", [.shapeMismatch], "shared_expert_gate.weight", "[1, 32]") {
      $0.reshape(layer + "shared_expert_gate.weight", nil, [32])
    },
    BadCheckpoint("the correction bias", of: "DeepSeek-V3", [.shapeMismatch], "e_score_correction_bias", "[8]") {
      $0.reshape(last + "gate.e_score_correction_bias", nil, [7])
    },
    BadCheckpoint(
      "one expert less in a fused tensor", of: "gpt-oss", [.shapeMismatch], "gate_up_proj", "[8, 32, 24]", "[7, 32, 24]"
    ) {
      $0.reshape(layer + "experts.gate_up_proj", nil, [7, 32, 24])
    },
    BadCheckpoint("a fused bias", of: "gpt-oss", [.shapeMismatch], "gate_up_proj_bias", "[8, 24]") {
      $0.reshape(layer + "experts.gate_up_proj_bias", nil, [8, 23])
    },
    BadCheckpoint("merged rows", of: "DBRX", [.shapeMismatch], "ffn.experts.mlp.v1", "[48, 32]") {
      $0.reshape("transformer.blocks.0.ffn.experts.mlp.v1", nil, [47, 32])
    },
    BadCheckpoint("double precision", [.typeMismatch], "experts.3.up_proj.weight", "F64", "BF16") {
      $0.reshape(layer + "experts.3.up_proj.weight", .f64)
    },
    BadCheckpoint("integers", [.typeMismatch], "experts.3.up_proj.weight", "I32") {
      $0.reshape(layer + "experts.3.up_proj.weight", .i32)
    },
    BadCheckpoint("one expert in 8 bits", [.typeMismatch], "experts.3.up_proj.weight", "F8_E4M3", "quantised") {
      $0.reshape(layer + "experts.3.up_proj.weight", .f8e4m3)
    },
    BadCheckpoint("an integer gate", [.typeMismatch], "mlp.gate.weight", "I64") {
      $0.reshape(layer + "gate.weight", .i64)
    },
    BadCheckpoint("mixed types", [.typeMismatch], "more than one type", "BF16, F16") {
      $0.reshape(layer + "experts.3.up_proj.weight", .f16)
    },
    BadCheckpoint("a wrong type and a wrong shape at once", [.shapeMismatch, .typeMismatch], "F64", "[1, 1]") {
      $0.reshape(layer + "experts.3.up_proj.weight", .f64, [1, 1])
    },
  ]

  @Test(arguments: missing + extra + wrong) func isRefused(bad: BadCheckpoint) throws {
    let fixture = try bad.fixture()
    let faults = expectFaults(bad.codes, bad.fragments) { try fixture.open() }
    // Every fault says where.
    for fault in faults { #expect(fault.file?.isEmpty == false && (fault.subject ?? fault.found)?.isEmpty == false) }
  }

  @Test func theSameFamiliesAreFineUnspoilt() throws {
    for family in Set((Self.missing + Self.extra + Self.wrong).map(\.family)) {
      try CheckpointFixture(synthetic: #require(TinyConfigurations.all[family])).open()
    }
  }

  /// Nothing is hidden behind the first fault: tensors missing, extra and wrong in two layers, and the configuration.
  @Test func allAtOnce() throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["Qwen2-MoE"]))
    fixture.remove(Self.layer + "experts.3.up_proj.weight")
    fixture.add(Self.layer + "experts.9.up_proj.weight", [12, 32])
    fixture.reshape(Self.layer + "experts.1.down_proj.weight", nil, [31, 12])
    fixture.remove(Self.layer + "gate.weight")
    fixture.reshape(Self.layer + "shared_expert.up_proj.weight", .f64)
    fixture.remove("model.layers.1.mlp.shared_expert_gate.weight")
    fixture.reshape("model.layers.1.mlp.experts.0.gate_proj.weight", .f16)
    fixture.configuration["num_experts_per_tok"] = 9
    expectFaults(
      [
        .configuration, .missingTensor, .missingTensor, .shapeMismatch, .typeMismatch, .typeMismatch,
      ], ["1...8", "experts.3.up_proj", "[31, 12]", "shared_expert.up_proj", "layers.1.mlp.shared_expert_gate"]
    ) { try fixture.open() }
    fixture.configuration["num_experts_per_tok"] = 3
    expectFaults(
      [
        .missingTensor, .missingTensor, .missingTensor, .shapeMismatch, .typeMismatch, .typeMismatch, .unexpectedTensor,
      ], ["experts.9.up_proj", "layers.0.mlp.gate.weight"]
    ) { try fixture.open() }
  }

  /// A number of experts that is absurd does not make a list of absurd length.
  @Test(arguments: ["Qwen2-MoE", "gpt-oss"]) func manyFaults(family: String) throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all[family]))
    fixture.configuration[family == "gpt-oss" ? "num_local_experts" : "num_experts"] = 16_777_216
    let faults = expectFault(family == "gpt-oss" ? .shapeMismatch : .missingTensor) { try fixture.open() }
    #expect(faults.count <= 1001)
  }

  @Test(arguments: [Float.nan, .infinity]) func valuesThatAreNotFinite(value: Float) throws {
    for (family, name) in [
      ("DeepSeek-V3", Self.last + "gate.e_score_correction_bias"), ("DeepSeek-V3", Self.last + "gate.weight"),
      ("gpt-oss", Self.layer + "router.bias"), ("Gemma-4 MoE", "model.layers.1.router.per_expert_scale"),
    ] {
      var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all[family]))
      let tensor = try #require(fixture.tensors[name])
      var values = tensor.elementType.decode(tensor.bytes)
      values[3] = value
      fixture.add(name, tensor.elementType, tensor.shape, values)
      expectFaults([.invalidValue], [name, "model.safetensors", "1 of \(values.count)"]) {
        _ = try fixture.load(on: ReferenceBackend())
      }
    }
  }
}
