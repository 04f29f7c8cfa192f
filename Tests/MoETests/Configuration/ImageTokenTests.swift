// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// What multimodal checkpoints have for tokens of images beside what they have for text.
@Suite struct ImageTokenTests {
  private static let prefix = "model.layers.0.mlp."

  private func output(_ fixture: CheckpointFixture, _ input: MoEInput = MoEInput()) throws -> [Float] {
    let (model, layers) = try fixture.load(on: ReferenceBackend())
    return try layers[0].forward(randomValues(5 * model.layers[0].hiddenSize, seed: 3), input).output
  }

  /// Ernie-4.5-VL's text experts are those of Ernie-4.5, with the gate turned and a row of two biases.
  @Test func ernie() throws {
    var vision = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["Ernie-4.5-VL-MoE"]), seed: 6)
    var text = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["Ernie-4.5-MoE"]), seed: 6)
    let gate = Self.prefix + "gate.weight", bias = Self.prefix + "moe_statics.e_score_correction_bias"
    let hidden = vision.tensors[gate]!.shape[0]
    for layer in 0..<vision.configuration["num_hidden_layers"]!.integer! {
      let own = "model.layers.\(layer).mlp."
      for expert in 8..<16 {
        for (name, shape) in [("gate_proj", [4, hidden]), ("up_proj", [4, hidden]), ("down_proj", [hidden, 4])] {
          vision.add(own + "experts.\(expert).\(name).weight", Shape(shape))
        }
      }
      vision.add(own + "gate.weight_1", [hidden, 8])
    }
    for (name, tensor) in vision.tensors where text.tensors[name]?.shape == tensor.shape { text.tensors[name] = tensor }
    let values = ElementType.bf16.decode(vision.tensors[gate]!.bytes)
    text.add(gate, .bf16, [8, hidden], (0..<8).flatMap { expert in (0..<hidden).map { values[$0 * 8 + expert] } })
    text.add(bias, .f32, [8], Array(ElementType.f32.decode(vision.tensors[bias]!.bytes).prefix(8)))
    expectSameBits(try output(vision), try output(text))
    #expect(try vision.open().notes.contains { $0.contains("experts of images") })
    vision.add(Self.prefix + "experts.16.up_proj.weight", [4, hidden])
    expectFaults([.unexpectedTensor], ["experts.16"]) { try vision.open() }
  }

  /// Tokens in the window of images choose by their bias, others by the table.
  @Test func hashLayers() throws {
    var configuration = try #require(TinyConfigurations.all["DeepSeek-V4"])
    configuration["num_hidden_layers"] = 1
    configuration["mlp_layer_types"] = ["hash_moe"]
    var fixture = try CheckpointFixture(synthetic: configuration, seed: 2)
    let name = try #require(fixture.tensors.keys.first { $0.hasSuffix("gate.tid2eid") })
    let bias = name.replacing("tid2eid", with: "bias_vl")
    let experts = try #require(try fixture.open().layers.first?.specification.expertCount)
    let plain = try output(fixture, MoEInput(tokenIDs: [0, 1, 2, 3, 4]))
    fixture.add(bias, .f32, [experts], (0..<experts).map { Float($0) * 100 })
    expectFaults([.configuration], ["image_sentinel_lo"]) { try fixture.open() }
    fixture.configuration["image_sentinel_lo"] = 3
    let mixed = try output(fixture, MoEInput(tokenIDs: [0, 1, 2, 3, 4]))
    let width = plain.count / 5
    #expect(mixed.prefix(3 * width) == plain.prefix(3 * width))
    #expect(mixed.suffix(2 * width) != plain.suffix(2 * width))
    fixture.configuration["mlp_layer_types"] = ["moe"]
    fixture.remove(name)
    fixture.add(name.replacing("tid2eid", with: "bias"), .f32, [experts])
    expectFaults([.unsupported], ["does not route by token id"]) { try fixture.open() }
  }
}
