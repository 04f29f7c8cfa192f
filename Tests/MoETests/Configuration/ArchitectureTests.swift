// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Testing

/// Every family that is known: written, read back, and run on both backends.
@Suite struct ArchitectureTests {
  static let names = ArchitectureRegistry.standard.architectures.map(\.name)

  @Test func everyFamilyHasAConfigurationHere() {
    #expect(Set(Self.names).count == Self.names.count)
    #expect(Set(TinyConfigurations.all.keys) == Set(Self.names))
  }

  @Test(arguments: names) func roundTrip(name: String) throws {
    let configuration = try #require(TinyConfigurations.all[name])
    let fixture = try CheckpointFixture(synthetic: configuration)
    let (model, layers) = try fixture.load(on: CPUBackend())
    #expect(model.architecture == name)
    #expect(model.notes.isEmpty, "\(model.notes)")
    let numbers = ModelConfiguration(.object(configuration), file: "config.json")
    let total = try numbers.required(.layerCount)
    let first = try numbers.integer("first_k_dense_replace", "num_dense_layers") ?? 0
    #expect(model.layers.map(\.index) == Array(first..<total))

    let references = try fixture.load(on: ReferenceBackend()).layers
    let tokens = 13
    let hidden = randomValues(tokens * 32, seed: 5)
    let input = MoEInput(
      tokenIDs: (0..<tokens).map { Int32($0 * 7 % 24) }, residual: randomValues(tokens * 32, seed: 6))
    for (index, (layer, reference)) in zip(layers, references).enumerated() {
      let specification = model.layers[index].specification
      #expect(specification.expertCount == (try model.configuration.required(.expertCount)))
      #expect(specification.intermediateSize == 12)
      let (found, expected) = (try layer.forward(hidden, input), try reference.forward(hidden, input))
      #expect(found.routing.ids == expected.routing.ids)
      expectClose(found.routing.weights, expected.routing.weights, "weights")
      expectClose(found.routed, expected.routed, "routed")
      expectClose(found.output, expected.output, "output")
      if let shared = expected.shared { expectClose(try #require(found.shared), shared, "shared") }
      #expect((found.shared != nil) == (model.layers[index].shared != nil))
      #expect(expected.output.allSatisfy(\.isFinite) && expected.routed.contains { $0 != 0 })
    }
  }

  /// Which parts a family's layers have, from the table of architectures.
  @Test(arguments: names) func parts(name: String) throws {
    let configuration = try #require(TinyConfigurations.all[name])
    let layer = try #require(CheckpointFixture(synthetic: configuration).open().layers.last)
    let withoutShared: Set = [
      "Mixtral", "Qwen3-MoE", "Qwen3-VL-MoE", "Mellum", "OLMoE", "Jamba", "MiniMax-Text-01", "Arctic", "DBRX",
      "gpt-oss",
      "Gemma-4 MoE", "MiniMax-M2", "LFM2-MoE", "MiMo-V2-Flash", "Phi-3.5-MoE", "LongCat-Flash", "Grok-1, Grok-2",
    ]
    #expect((layer.shared == nil) == withoutShared.contains(name))
    #expect((layer.shared?.gate != nil) == ["Qwen2-MoE", "Qwen3-Next", "Qwen3.5-MoE"].contains(name))
    let unbiased: Set = [
      "Mixtral", "Qwen2-MoE", "Qwen3-MoE", "Qwen3-Next", "Qwen3.5-MoE", "Qwen3-VL-MoE", "Mellum", "OLMoE", "Jamba",
      "MiniMax-Text-01", "Arctic", "Hunyuan-A13B", "Bailing (Ling, Ring) v1", "Step-3", "DBRX", "Granite-MoE", "Aria",
      "gpt-oss", "Gemma-4 MoE", "Flint", "Cohere2-MoE", "Llama-4", "DeepSeek-V2", "Phi-3.5-MoE", "Grok-1, Grok-2",
    ]
    #expect((layer.gate.correctionBias == nil) == unbiased.contains(name))
    #expect((layer.gate.bias != nil) == (name == "gpt-oss"))
    #expect(layer.specification.hasBias == (name == "gpt-oss"))
    #expect((layer.gate.inputScale != nil) == (name == "Gemma-4 MoE"))
    #expect((layer.gate.perExpertScale != nil) == (name == "Gemma-4 MoE"))
    #expect((layer.latent != nil) == (name == "Nemotron-H MoE"))
    #expect((layer.outputNorm != nil) == (name == "A.X-K1"))
    #expect(layer.plan.weightOnInput == ["Llama-4", "Laguna"].contains(name))
    #expect(layer.specification.activation.isGated == (name != "Nemotron-H MoE"))
    #expect((layer.residualMultiplier != 1) == (name == "Granite-MoE"))
    #expect((layer.plan.postScale != 1) == ["MiniMax-M3", "Laguna"].contains(name))
    #expect(layer.plan.zeroExpertCount == (name == "LongCat-Flash" ? 4 : 0))
  }
}
