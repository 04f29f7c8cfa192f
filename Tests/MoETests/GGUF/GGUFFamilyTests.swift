// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// What each architecture of llama.cpp is read as.
@Suite struct GGUFFamilyTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var architecture: String
    var family: String
    var router: String
    var activation = "silu"
    var adjust: @Sendable (inout GGUFFixture) -> Void = { _ in }

    var testDescription: String { "\(architecture): \(router)" }
  }

  private static func shared(_ fixture: inout GGUFFixture, width: Int = 32) {
    fixture.add("ffn_gate_shexp.weight", [width, 64])
    fixture.add("ffn_up_shexp.weight", [width, 64])
    fixture.add("ffn_down_shexp.weight", [64, width])
  }

  private static func bias(_ fixture: inout GGUFFixture) { fixture.add("exp_probs_b.bias", [4]) }

  private static let softmax: [Case] = [
    Case(architecture: "llama", family: "Mixtral", router: "softmax, normalised"),
    Case(architecture: "llama", family: "Mixtral", router: "softmax, normalised") {
      $0["expert_gating_func"] = .count(3)  // The same function.
      $0["expert_feed_forward_length"] = .count(32)
      $0["feed_forward_length"] = .count(999)
    },
    Case(architecture: "qwen2moe", family: "Qwen2-MoE", router: "softmax") {
      $0["expert_shared_feed_forward_length"] = .count(48)
      shared(&$0, width: 48)
      $0.add("ffn_gate_inp_shexp.weight", [64])
    },
    Case(architecture: "qwen3next", family: "Qwen3-Next", router: "softmax, normalised") {
      $0["expert_shared_feed_forward_length"] = .count(32)
      shared(&$0)
      $0.add("ffn_gate_inp_shexp.weight", [1, 64])
    },
    Case(architecture: "qwen3moe", family: "Qwen3-MoE", router: "softmax, normalised"),
    Case(architecture: "qwen3moe", family: "Qwen3-MoE", router: "softmax") { $0["expert_weights_norm"] = .flag(false) },
    Case(architecture: "qwen3vlmoe", family: "Qwen3-VL-MoE", router: "softmax, normalised"),
    Case(architecture: "olmoe", family: "OLMoE", router: "softmax"),
    Case(architecture: "dbrx", family: "DBRX", router: "softmax, normalised in the 1.0-norm"),
    Case(architecture: "granitemoe", family: "Granite-MoE", router: "softmax over the chosen") {
      $0["expert_shared_feed_forward_length"] = .count(32)
      shared(&$0)
    },
    Case(architecture: "jamba", family: "Jamba", router: "softmax"),
    Case(architecture: "arctic", family: "Arctic", router: "softmax, normalised"),
    Case(
      architecture: "grok", family: "Grok-1, Grok-2", router: "logits capped at 30.0, softmax, normalised",
      activation: "gelu"),
    Case(architecture: "hunyuan-moe", family: "Hunyuan-A13B", router: "softmax, normalised") { shared(&$0) },
    Case(architecture: "phimoe", family: "Phi-3.5-MoE", router: "sparse mixer, jitter 0.01"),
    Case(
      architecture: "gemma4", family: "Gemma-4 MoE", router: "softmax, normalised", activation: "gelu_tanh"
    ) {
      $0.remove("ffn_gate_exps.weight", "ffn_up_exps.weight")
      $0.add("ffn_gate_up_exps.weight", [4, 64, 64])
      $0.add("ffn_gate_inp.scale", [64])
      $0.add("ffn_down_exps.scale", [4])
    },
    Case(
      architecture: "gpt-oss", family: "gpt-oss", router: "softmax over the chosen",
      activation: "silu(limit 7.0, α 1.702, β 1.0)"
    ) {
      $0.add("ffn_gate_inp.bias", [4])
      for name in ["gate", "up"] { $0.add("ffn_\(name)_exps.bias", [4, 32]) }
      $0.add("ffn_down_exps.bias", [4, 64])
    },
  ]

  private static let sigmoid: [Case] = [
    Case(architecture: "deepseek2", family: "DeepSeek-V2", router: "softmax, 1 of 2 groups, × 16.0") {
      $0["expert_group_count"] = .count(2)
      $0["expert_group_used_count"] = .count(1)
      $0["expert_weights_scale"] = .number(16)
      $0["expert_shared_count"] = .count(2)
      shared(&$0, width: 64)
    },
    Case(
      architecture: "deepseek2", family: "DeepSeek-V3", router: "sigmoid + correction bias, normalised, × 2.5"
    ) {
      $0["expert_gating_func"] = .count(2)
      $0["expert_weights_norm"] = .flag(true)
      $0["expert_weights_scale"] = .number(2.5)
      bias(&$0)
    },
    Case(architecture: "glm4moe", family: "GLM-4.5", router: "sigmoid + correction bias, normalised", adjust: bias),
    Case(
      architecture: "minimax-m2", family: "MiniMax-M2", router: "sigmoid + correction bias, normalised", adjust: bias),
    Case(architecture: "lfm2moe", family: "LFM2-MoE", router: "sigmoid + correction bias, normalised", adjust: bias),
    Case(
      architecture: "ernie4_5-moe", family: "Ernie-4.5-MoE", router: "softmax + correction bias, normalised",
      adjust: bias),
    Case(architecture: "bailingmoe2", family: "Ling-2.0, Ring-2", router: "sigmoid + correction bias, normalised") {
      bias(&$0)
      $0["expert_shared_count"] = .count(2)
      $0["expert_shared_feed_forward_length"] = .count(16)
      shared(&$0)
    },
    Case(
      architecture: "nemotron_h_moe", family: "Nemotron-H MoE", router: "sigmoid + correction bias, normalised",
      activation: "relu2, no gate"
    ) {
      bias(&$0)
      $0["moe_latent_size"] = .count(16)
      $0.remove("ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight")
      $0.add("ffn_up_exps.weight", [4, 32, 16])
      $0.add("ffn_down_exps.weight", [4, 16, 32])
      $0.add("ffn_latent_down.weight", [16, 64], .q8_0)
      $0.add("ffn_latent_up.weight", [64, 16])
    },
    Case(architecture: "llama4", family: "Llama-4", router: "sigmoid, weight on the input") { shared(&$0) },
    Case(
      architecture: "step35", family: "Step-3.5", router: "sigmoid + correction bias, normalised",
      activation: "silu(limit after 7.0)"
    ) {
      bias(&$0)
      $0["swiglu_clamp_exp"] = .numbers([7])
    },
    Case(architecture: "cohere2moe", family: "Cohere2-MoE", router: "sigmoid, normalised"),
    Case(architecture: "cohere2moe", family: "Cohere2-MoE", router: "softmax over the chosen") {
      $0["expert_gating_func"] = .count(3)
    },
  ]

  @Test(arguments: softmax + sigmoid)
  func family(expected: Case) throws {
    var fixture = GGUFFixture(expected.architecture)
    expected.adjust(&fixture)
    let (model, folder) = try fixture.model()
    defer { withExtendedLifetime(folder) {} }
    #expect(model.architecture == expected.family)
    #expect(model.layers.map { "\($0.plan)" } == [expected.router])
    #expect(model.layers.map { "\($0.specification.activation)" } == [expected.activation])
    #expect(try fixture.output().allSatisfy { $0.isFinite })
  }

  /// An architecture nobody knows routes by what its metadata and tensors say, and that is told.
  @Test(
    arguments: [
      (nil, false, "softmax, normalised"), (2, false, "sigmoid, normalised"),
      (2, true, "sigmoid + correction bias, normalised"),
      (4, true, "sqrtsoftplus + correction bias, normalised"),
    ] as [(UInt32?, Bool, String)])
  func unknown(gating: UInt32?, hasBias: Bool, router: String) throws {
    var fixture = GGUFFixture("novel")
    fixture["expert_gating_func"] = gating.map { .count($0) }
    if hasBias { Self.bias(&fixture) }
    let (model, folder) = try fixture.model()
    defer { withExtendedLifetime(folder) {} }
    #expect(model.architecture == "unknown")
    #expect(model.layers.map { "\($0.plan)" } == [router])
    let note = try #require(model.notes.first)
    for part in ["warning", "novel", "stacked", router] { #expect(note.contains(part), "\(note)") }
  }
}
