// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import TestSupport
import Testing

/// A family nobody knows: read if its tensors follow a known layout, and then not silently.
@Suite struct UnknownArchitectureTests {
  private func unknown(_ family: String) throws -> CheckpointFixture {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all[family]))
    fixture.configuration["model_type"] = "novel"
    fixture.configuration["architectures"] = ["NovelForCausalLM"]
    return fixture
  }

  @Test(arguments: [
    ("Qwen2-MoE", "per expert", "softmax"), ("Mixtral", "per expert", "softmax"),
    ("DeepSeek-V3", "per expert", "sigmoid"),
    ("Step-3", "stacked", "softmax"),
  ]) func aKnownLayoutIsAssumed(family: String, layout: String, scoring: String) throws {
    let fixture = try unknown(family)
    let (model, layers) = try fixture.load(on: CPUBackend())
    #expect(model.architecture == "unknown")
    let note = try #require(model.notes.first)
    #expect(model.notes.count == 1 && note.contains("warning"))
    for part in ["novel, NovelForCausalLM", layout, scoring, "model.layers."] {
      #expect(note.contains(part), "\(note)")
    }

    // What was assumed is right for these families.
    var known = fixture
    known.configuration = try #require(TinyConfigurations.all[family])
    known.configuration["norm_topk_prob"] = fixture.configuration["norm_topk_prob"]
    let references = try known.load(on: CPUBackend()).layers
    let hidden = randomValues(5 * 32, seed: 3)
    for (layer, reference) in zip(layers, references) {
      expectSameBits(try layer.forward(hidden).output, try reference.forward(hidden).output)
    }
  }

  @Test func fusedExpertsAreTakenByTheirShape() throws {
    for stored in [StoredLayout.fusedOutputMajor, .fusedInputMajor] {
      let specification = ExpertsCase(experts: 8, hidden: 32, intermediate: 12).specification
      var fixture = try unknown("Qwen3-MoE")
      fixture.tensors = fixture.tensors.filter { $0.key.hasSuffix("layers.0.mlp.gate.weight") }
      stored.add(RandomExperts(specification, seed: 1), to: &fixture)
      let model = try fixture.open()
      #expect(model.layers[0].experts.layoutName == stored.layout.name && model.notes.count == 1)
    }
  }

  @Test(arguments: [16, 32]) func anAmbiguousShapeIsRefused(intermediate: Int) throws {
    let specification = ExpertsCase(experts: 8, hidden: 32, intermediate: intermediate).specification
    var fixture = try unknown("Qwen3-MoE")
    fixture.configuration["moe_intermediate_size"] = .integer(intermediate)
    fixture.tensors = fixture.tensors.filter { $0.key.hasSuffix("layers.0.mlp.gate.weight") }
    StoredLayout.fusedInputMajor.add(RandomExperts(specification, seed: 1), to: &fixture)
    expectFaults([.ambiguousLayout], ["gate_up_proj", "\(intermediate)", "register an Architecture"]) {
      try fixture.open()
    }
  }

  @Test func nothingThatIsKnown() throws {
    var fixture = try unknown("Qwen2-MoE")
    fixture.rename { $0.replacing("mlp.experts.", with: "brain.neurons.") }
    expectFaults(
      [.unknownArchitecture], ["novel, NovelForCausalLM", "mlp.experts.{e}.w3", "mlp.experts.gate_up_proj"]
    ) { try fixture.open() }
    fixture.configuration = ["hidden_size": 32]
    expectFaults([.unknownArchitecture], ["no model_type"]) { try fixture.open() }
  }

  /// What an unknown family has beside its experts is used or refused, never passed over.
  @Test func whatItHasBesides() throws {
    var fixture = try unknown("Qwen2-MoE")
    #expect(try fixture.open().layers[0].shared?.gate != nil)
    fixture.remove("model.layers.0.mlp.gate.weight")
    expectFaults([.missingTensor], ["mlp.gate.weight"]) { try fixture.open() }
    for name in ["moe_statics.e_score_correction_bias", "gate.expert_bias", "router_bias"] {
      var fixture = try unknown("Qwen3-MoE")
      for layer in 0...1 { fixture.add("model.layers.\(layer).mlp.\(name)", .f32, [8]) }
      #expect(try fixture.open().layers[0].gate.correctionBias?.name.hasSuffix(name) == true)
    }
    var biased = try unknown("Qwen3-MoE")
    biased.add("model.layers.0.mlp.gate.bias", [8])
    expectFaults([.unexpectedTensor], ["mlp.gate.bias"]) { try biased.open() }
  }

  @Test func aRegisteredFamilyIsKnown() throws {
    let folder = try TemporaryFolder()
    try unknown("Qwen3-MoE").write(to: folder.path)
    var registry = ArchitectureRegistry.standard
    registry.register(Architecture("Novel", types: ["novel"], classes: []))
    let model = try MoEModel(opening: folder.path, registry: registry)
    #expect(model.architecture == "Novel" && model.notes.isEmpty)
  }

  @Test func chosenLayers() throws {
    let folder = try TemporaryFolder()
    try CheckpointFixture(synthetic: #require(TinyConfigurations.all["Qwen3-MoE"])).write(to: folder.path)
    #expect(try MoEModel(opening: folder.path, layers: [1]).layers.map(\.index) == [1])
    expectFaults([.invalidArgument], ["7, 9", "0, 1"]) { _ = try MoEModel(opening: folder.path, layers: [9, 7]) }
    let model = try MoEModel(opening: folder.path)
    expectFaults([.invalidArgument], ["layer 2", "0, 1"]) { _ = try model.layer(2) }
    expectFault(.unreadable, "nowhere") { _ = try MoEModel(opening: folder["nowhere"]) }
  }
}
