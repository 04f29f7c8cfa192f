// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Wrappers, prefixes, draft layers, lists with one value for each layer, and layouts that are not the family's own.
@Suite struct LayerRuleTests {
  private func tiny(_ name: String) throws -> CheckpointFixture {
    try CheckpointFixture(synthetic: #require(TinyConfigurations.all[name]))
  }

  /// A multimodal model: the text model's configuration is nested, and its tensors have another prefix.
  @Test(arguments: [
    ("Qwen3.5-MoE", "qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration", "text_config", "model.language_model.layers."),
    (
      "Qwen3-VL-MoE", "qwen3_vl_moe", "Qwen3VLMoeForConditionalGeneration", "text_config",
      "model.language_model.layers."
    ),
    ("Kimi-K2", "kimi_k25", "KimiK25ForConditionalGeneration", "text_config", "language_model.model.layers."),
    ("Llama-4", "llama4", "Llama4ForConditionalGeneration", "text_config", "language_model.model.layers."),
    (
      "MiniMax-M3", "minimax_m3_vl", "MiniMaxM3VLForConditionalGeneration", "text_config",
      "language_model.model.layers."
    ),
    ("Aria", "aria", "AriaForConditionalGeneration", "text_config", "language_model.model.layers."),
    ("GLM-4.5", "glm4v_moe", "Glm4vMoeForConditionalGeneration", "text_config", "model.language_model.layers."),
    ("Gemma-4 MoE", "gemma4", "Gemma4ForConditionalGeneration", "text_config", "model.language_model.layers."),
    ("Step-3", "step3_vl", "Step3VLForConditionalGeneration", "text_config", "model.layers."),
    ("DeepSeek-V3", "some_vl", "SomeVLForCausalLM", "language_config", "language.model.layers."),
    ("Qwen3-MoE", "other_vl", "OtherVLForCausalLM", "llm_config", "llm.layers."),
  ])
  func wrappers(family: String, type: String, className: String, key: String, stack: String) throws {
    var fixture = try tiny(family)
    let text = fixture.configuration
    // What the wrapper says of itself must not be taken for the text model.
    fixture.configuration = [
      "model_type": .string(type), "architectures": [.string(className)], key: .object(text), "hidden_size": 99,
      "vision_config": ["hidden_size": 77, "num_hidden_layers": 1],
    ]
    fixture.rename { name in
      let start = name.firstRange(of: "layers.")!.lowerBound
      return stack + name[start...].dropFirst("layers.".count)
    }
    fixture.add("model.visual.blocks.0.mlp.linear_fc1.weight", [4, 4])
    fixture.add("vision_tower.encoder.layers.0.mlp.up_proj.weight", [4, 4])
    let model = try fixture.open()
    #expect(model.architecture == family)
    #expect(model.notes.isEmpty)
    #expect(model.layers.allSatisfy { $0.prefix == "\(stack)\($0.index)." && $0.hiddenSize == 32 })
    #expect(try model.layers.count == tiny(family).open().layers.count)
  }

  /// Draft layers carry whole MoE blocks under the same names.
  @Test(arguments: ["DeepSeek-V3", "Qwen3-Next", "GLM-4.5", "Exaone-MoE", "MiMo-V2-Flash"]) func draftLayers(
    family: String
  ) throws {
    var fixture = try tiny(family)
    let expected = try fixture.open().layers.map(\.index)
    let total = try ModelConfiguration(.object(fixture.configuration), file: "").required(.layerCount)
    for (name, tensor) in fixture.tensors where name.hasPrefix("model.layers.\(total - 1).") {
      let rest = name.dropFirst("model.layers.\(total - 1).".count)
      // Past the end, under mtp, and one spoilt: nobody may look at them.
      fixture.tensors["model.layers.\(total).\(rest)"] = tensor
      fixture.tensors["mtp.layers.0.\(rest)"] = tensor
      fixture.tensors["model.mtp.layers.0.\(rest)"] = tensor
      fixture.tensors["mtp.0.\(rest)"] = tensor
    }
    fixture.reshape("model.layers.\(total).mlp.experts.0.up_proj.weight", .u8, [3])
    #expect(try fixture.open().layers.map(\.index) == expected)
  }

  /// Hunyuan's numbers may be lists with one element for each layer.
  @Test func perLayerLists() throws {
    var configuration = try #require(TinyConfigurations.all["Hunyuan-A13B"])
    configuration["num_experts"] = [4, 8]
    configuration["moe_topk"] = [1, 3]
    configuration["num_shared_expert"] = [2, 1]
    configuration["moe_intermediate_size"] = [12, 5.0]
    let layers = try CheckpointFixture(synthetic: configuration).open().layers
    #expect(layers.map(\.specification.expertCount) == [4, 8])
    #expect(layers.map(\.topK) == [1, 3])
    #expect(layers.map(\.specification.intermediateSize) == [12, 5])
    #expect(layers.map { $0.shared?.experts.specification.intermediateSize } == [24, 5])
    configuration["num_experts"] = [4]
    expectFault(.configuration, "num_experts", "list") { _ = try CheckpointFixture(synthetic: configuration) }
  }

  @Test func perLayerLimits() throws {
    let layers = try tiny("Step-3.5").open().layers
    #expect(layers.map(\.specification.activation.limitAfter) == [0.5, nil])
    #expect(layers.map { $0.shared?.experts.specification.activation.limitAfter } == [nil, 0.25])
  }

  /// Grok-2 has the names of Mixtral and a dense MLP beside the block.
  @Test func grok2() throws {
    var fixture = try tiny("Grok-1, Grok-2")
    fixture.configuration["model_type"] = "git"
    fixture.configuration["architectures"] = ["Grok1ForCausalLM"]
    fixture.configuration["router_logit_softcapping"] = 20
    fixture.rename { name in
      name.replacing("moe_block", with: "block_sparse_moe").replacing("linear_v", with: "w3")
        .replacing("linear_1", with: "w2").replacing("linear.", with: "w1.")
    }
    for projection in ["gate_proj", "up_proj", "down_proj"] {
      fixture.add("model.layers.0.mlp.\(projection).weight", [4, 4])
    }
    let model = try fixture.open()
    #expect(model.layers.count == 2)
    guard case .topK(let recipe) = model.layers[0].plan.kind else { return #expect(Bool(false)) }
    #expect(recipe.softCap == 20)
  }

  /// The two ways to say which layers of DeepSeek-V4 route by token id, and the tensors when nobody says.
  @Test func hashLayers() throws {
    var fixture = try tiny("DeepSeek-V4")
    func kinds() throws -> [Bool] { try fixture.open().layers.map { $0.gate.hashTable != nil } }
    #expect(try kinds() == [true, false, false])
    fixture.configuration["mlp_layer_types"] = nil
    #expect(try kinds() == [true, false, false])
    fixture.configuration["num_hash_layers"] = 1
    #expect(try kinds() == [true, false, false])
    fixture.configuration["num_hash_layers"] = 2
    expectFault(.missingTensor, "layers.1.ffn.gate.tid2eid", "routing table") { try fixture.open() }
  }

  @Test func hashIDsOutOfRange() throws {
    var fixture = try tiny("DeepSeek-V4")
    let name = "layers.0.ffn.gate.tid2eid"
    fixture.tensors[name]!.bytes[0] = 8
    expectFault(.configuration, "routing table") { _ = try fixture.load(on: ReferenceBackend()) }
    fixture.reshape(name, .i64, [24, 2])
    expectFaults([.shapeMismatch], [name, "[vocabulary, 3]"]) { try fixture.open() }
    fixture.reshape(name, .f32, [24, 3])
    expectFaults([.typeMismatch], [name, "I64"]) { try fixture.open() }
  }

  /// transformers 5 can write any family fused.
  @Test func fusedInsteadOfPerExpert() throws {
    let specification = ExpertsCase(experts: 8, hidden: 32, intermediate: 12).specification
    for stored in [StoredLayout.fusedOutputMajor, .fusedInputMajor] {
      var fixture = try tiny("Qwen3-MoE")
      fixture.configuration["num_hidden_layers"] = 1
      fixture.tensors = fixture.tensors.filter { $0.key.hasSuffix("layers.0.mlp.gate.weight") }
      stored.add(RandomExperts(specification, seed: 1), to: &fixture)
      let model = try fixture.open()
      #expect(model.layers[0].experts.layoutName == stored.layout.name)
      #expect(model.notes.count == (stored == .fusedInputMajor ? 1 : 0), "\(model.notes)")
    }
  }

  /// The family decides the orientation where the shape of a fused tensor does not: H = 2I.
  @Test(arguments: ["Qwen3-MoE", "Llama-4", "Qwen3-VL-MoE"]) func orientationOfAKnownFamily(family: String) throws {
    let specification = ExpertsCase(experts: 4, hidden: 32, intermediate: 16).specification
    let stored: StoredLayout = family == "Qwen3-MoE" ? .fusedOutputMajor : .fusedInputMajor
    var fixture = try tiny(family)
    let gate = fixture.tensors.keys.sorted().first {
      $0.hasSuffix(family == "Llama-4" ? "router.weight" : "gate.weight")
    }!
    fixture.tensors = [:]
    fixture.add(gate, [4, 32])
    stored.add(RandomExperts(specification, seed: 1), to: &fixture)
    let block = String(gate.dropLast(family == "Llama-4" ? 13 : 11))
    fixture.rename { $0.hasPrefix("model.layers.0.mlp.") ? block + String($0.dropFirst(19)) : $0 }
    for key in ["num_experts", "num_local_experts"] where fixture.configuration[key] != nil {
      fixture.configuration[key] = 4
    }
    for key in ["moe_intermediate_size", "intermediate_size"] where fixture.configuration[key] != nil {
      fixture.configuration[key] = 16
    }
    if family == "Llama-4" {
      for projection in ["gate_proj", "up_proj"] {
        fixture.add("\(block)shared_expert.\(projection).weight", [16, 32])
      }
      fixture.add("\(block)shared_expert.down_proj.weight", [32, 16])
    }
    #expect(try fixture.open().layers[0].experts.layoutName == stored.layout.name)
  }

  @Test func theCoefficientOfMiniMax() throws {
    var configuration = try #require(TinyConfigurations.all["MiniMax-Text-01"])
    configuration["shared_intermediate_size"] = 20
    expectFault(.configuration, "shared_moe_mode") { try CheckpointFixture(synthetic: configuration).open() }
    configuration["shared_moe_mode"] = "sigmoid"
    let layer = try CheckpointFixture(synthetic: configuration).open().layers[0]
    #expect(layer.shared?.combination == .interpolate && layer.shared?.gate != nil)
  }
}
