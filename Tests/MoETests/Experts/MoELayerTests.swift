// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import Testing

/// The steps between routed experts and the block's output, recomputed from the parts.
@Suite struct MoELayerTests {
  static let tokens = 5
  static let hidden = randomValues(5 * 32, seed: 1)

  private func layer(
    _ family: String, _ change: (inout [String: JSONValue]) -> Void = { _ in }
  ) throws -> (layer: MoELayer<ReferenceBackend>, fixture: CheckpointFixture) {
    var configuration = try #require(TinyConfigurations.all[family])
    change(&configuration)
    let fixture = try CheckpointFixture(synthetic: configuration)
    return (try #require(fixture.load(on: ReferenceBackend()).layers.last), fixture)
  }

  private func values(_ name: String, _ fixture: CheckpointFixture) throws -> [Float] {
    let tensor = try #require(fixture.tensors[name])
    return tensor.elementType.decode(tensor.bytes)
  }

  /// Sigmoid of a gate of one row, for each token.
  private func gates(_ weights: [Float]) -> [Float] {
    (0..<Self.tokens).map { token in
      let sum = (0..<32).reduce(0.0) { $0 + Double(weights[$1]) * Double(Self.hidden[token * 32 + $1]) }
      return Float(1 / (1 + exp(-sum)))
    }
  }

  private func expectOutput(
    _ result: MoEOutput, sourceLocation: SourceLocation = #_sourceLocation, _ expected: (Int) -> Float
  ) {
    expectClose(
      result.output, (0..<Self.hidden.count).map(expected), bound: 1e-6, sourceLocation: sourceLocation)
  }

  @Test func sum() throws {
    let result = try layer("DeepSeek-V3").layer.forward(Self.hidden)
    let shared = try #require(result.shared)
    expectOutput(result) { result.routed[$0] + shared[$0] }
  }

  @Test func gatedSum() throws {
    let (layer, fixture) = try layer("Qwen2-MoE")
    let result = try layer.forward(Self.hidden)
    let shared = try #require(result.shared)
    let gates = gates(try values("model.layers.1.mlp.shared_expert_gate.weight", fixture))
    expectOutput(result) { result.routed[$0] + gates[$0 / 32] * shared[$0] }
  }

  @Test func average() throws {
    let result = try layer("Cohere2-MoE").layer.forward(Self.hidden)
    let shared = try #require(result.shared)
    expectOutput(result) { (result.routed[$0] + shared[$0]) / 2 }
  }

  @Test func interpolation() throws {
    let (layer, fixture) = try layer("MiniMax-Text-01") {
      $0["shared_intermediate_size"] = 20
      $0["shared_moe_mode"] = "sigmoid"
    }
    let result = try layer.forward(Self.hidden)
    let shared = try #require(result.shared)
    let gates = gates(try values("model.layers.1.coefficient.weight", fixture))
    expectOutput(result) { result.routed[$0] * (1 - gates[$0 / 32]) + shared[$0] * gates[$0 / 32] }
  }

  /// The scale is for what is routed alone.
  @Test func postScale() throws {
    let result = try layer("MiniMax-M3").layer.forward(Self.hidden)
    let shared = try #require(result.shared)
    expectOutput(result) { 2 * result.routed[$0] + shared[$0] }
  }

  @Test func residual() throws {
    let layer = try layer("Granite-MoE").layer
    let residual = randomValues(Self.hidden.count, seed: 2)
    let result = try layer.forward(Self.hidden, MoEInput(residual: residual))
    let shared = try #require(result.shared)
    expectOutput(result) { residual[$0] + 0.22 * (result.routed[$0] + shared[$0]) }
  }

  @Test func outputNorm() throws {
    let (layer, fixture) = try layer("A.X-K1")
    let result = try layer.forward(Self.hidden)
    let shared = try #require(result.shared)
    let scale = try values("model.layers.2.post_mlp_layernorm.weight", fixture)
    let sum = zip(result.routed, shared).map { Double($0 + $1) }
    expectOutput(result) { index in
      let row = sum[index / 32 * 32..<index / 32 * 32 + 32]
      let rootMeanSquare = (row.reduce(0) { $0 + $1 * $1 } / 32 + 1e-6).squareRoot()
      return Float(sum[index] / rootMeanSquare) * scale[index % 32]
    }
  }

  @Test func latentProjection() throws {
    let (layer, fixture) = try layer("Nemotron-H MoE")
    let result = try layer.forward(Self.hidden)
    let shared = try #require(result.shared)
    #expect(result.routed.count == Self.tokens * 24)
    let up = try values("backbone.layers.2.mixer.fc2_latent_proj.weight", fixture)
    expectOutput(result) { index in
      let (token, row) = (index / 32, index % 32)
      let sum = (0..<24).reduce(0.0) { $0 + Double(up[row * 24 + $1]) * Double(result.routed[token * 24 + $1]) }
      return Float(sum) + shared[index]
    }
  }

  /// An id past the experts returns its input.
  @Test func zeroExperts() throws {
    let layer = try layer("LongCat-Flash").layer
    let routing = try Routing(
      topK: 2, ids: Array(repeating: [6, 9], count: 5).flatMap(\.self), weights: Array(repeating: 0.75, count: 10))
    let result = try layer.forward(Self.hidden, MoEInput(routing: routing))
    expectOutput(result) { 1.5 * Self.hidden[$0] }
  }

  /// Gemma-4: what routes and what is computed may be two tensors.
  @Test func expertInput() throws {
    let layer = try layer("Gemma-4 MoE").layer
    let other = randomValues(Self.hidden.count, seed: 3)
    let result = try layer.forward(Self.hidden, MoEInput(expertInput: other))
    #expect(try result.routing == layer.route(Self.hidden))
    let same = try layer.forward(other, MoEInput(routing: result.routing))
    expectSameBits(result.output, same.output)
    // x / rms(x) · scale / √H: the gate does not see how long x is.
    #expect(try layer.route(Self.hidden.map { $0 * 4 }).ids == result.routing.ids)
  }

  @Test func logitsInsteadOfTheGate() throws {
    let layer = try layer("Qwen3-MoE").layer
    let logits = try layer.gate.logits(Self.hidden, tokenCount: Self.tokens, on: layer.experts.backend)
    let result = try layer.forward(Self.hidden)
    #expect(try layer.forward(Self.hidden, MoEInput(routerLogits: logits)) == result)
    let (output, routing) = try layer.experts.forward(Self.hidden, routerLogits: logits)
    #expect(output.routed == result.routed && routing == result.routing)
  }
}
