// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import TestSupport
import Testing

/// Numbers that no model has, and what happens to a family nobody knows.
@Suite struct BadConfigurationTests {
  static let cases: [BadCheckpoint] = [
    config("no experts", "num_experts", 0, "the number of experts"),
    config("fewer than none", "num_experts", -8, "num_experts"),
    config("too many", "num_experts", 1_099_511_627_776, "num_experts"),
    config("a word", "num_experts", "8", "an integer"),
    config("a fraction", "num_experts", 7.5, "an integer"), config("null", "num_experts", nil, "is not given"),
    config("a list too short", "num_experts", [8], "list"),
    config("a list of words", "num_experts", ["8", "8"], "list"),
    config("top 0", "num_experts_per_tok", 0, "experts per token"),
    config("top 9 of 8", "num_experts_per_tok", 9, "1...8"),
    config("no width", "hidden_size", nil, "hidden size"),
    config("width 0", "moe_intermediate_size", 0, "intermediate size"),
    config("a negative width", "hidden_size", -32, "hidden_size"),
    config("a flag that is none", "norm_topk_prob", "yes", "true or false"),
    config("an unknown activation", "hidden_act", "reglu", "silu, swish"),
    config("an activation that is a number", "hidden_act", 3, "a string"),
    config(
      "shared experts of negative width", "shared_expert_intermediate_size", -1, "shared_expert_intermediate_size"),
    config("shared experts as wide as the world", "shared_expert_intermediate_size", .integer(.max), "out of range"),
    config("layers without end", "num_hidden_layers", .integer(.max), "num_hidden_layers"),
    config(
      "two spellings that disagree", "num_local_experts", 16, "given twice", "num_experts and num_local_experts",
      "8 and 16"),
    config("two spellings of top k", "moe_topk", 2, "num_experts_per_tok and moe_topk"),
  ]

  static let deepSeekCases: [BadCheckpoint] = [
    config("groups that do not divide", "n_group", 3, of: "DeepSeek-V3", "3 groups"),
    config("no group", "n_group", 0, of: "DeepSeek-V3", "0 groups"),
    config("negative groups", "n_group", -4, of: "DeepSeek-V3", "n_group"),
    config("more kept than there are", "topk_group", 5, of: "DeepSeek-V3", "5 kept"),
    config("groups too small for k", "topk_group", 1, of: "DeepSeek-V3", "top-3"),
    config("groups of one", "n_group", 8, of: "DeepSeek-V3", "8 groups"),
    config("an unknown scoring", "scoring_func", "argmax", of: "DeepSeek-V3", "softmax, sigmoid or sqrtsoftplus"),
    config("a scale that is a word", "routed_scaling_factor", "2.5", of: "DeepSeek-V3", "finite number"),
    config("shared experts without number", "n_shared_experts", 16_777_216, of: "DeepSeek-V3", "shared experts"),
    config("zero experts without end", "zero_expert_num", .integer(.max), of: "LongCat-Flash", "zero_expert_num"),
    config("zero experts below zero", "zero_expert_num", -1, of: "LongCat-Flash", "zero_expert_num"),
    config("a zero expert that copies", "zero_expert_type", "copy", of: "LongCat-Flash", "identity"),
    config("three experts of SparseMixer", "num_experts_per_tok", 3, of: "Phi-3.5-MoE", "expected 2"),
    config("a negative jitter", "router_jitter_noise", -1, of: "Phi-3.5-MoE", "jitter"),
    config(
      "a norm of 0", "ffn_config",
      ["moe_num_experts": 4, "moe_top_k": 2, "ffn_hidden_size": 12, "moe_normalize_expert_weights": 0], of: "DBRX",
      "norm"),
    config("a cap that is negative", "router_logit_softcapping", -30, of: "Grok-1, Grok-2", "cap"),
    config("a latent width that is negative", "moe_latent_size", -3, of: "Nemotron-H MoE", "moe_latent_size"),
    config("a limit that is a word", "swiglu_limit", "7", of: "gpt-oss", "swiglu_limit"),
    config("kinds of layers that are numbers", "mlp_layer_types", [1, 2, 3], of: "DeepSeek-V4", "strings"),
  ]

  private static func config(
    _ name: String, _ key: String, _ value: JSONValue, of family: String = "Qwen2-MoE", _ fragments: String...
  ) -> BadCheckpoint {
    var bad = BadCheckpoint(name, of: family, [.configuration]) { $0.configuration[key] = value }
    bad.fragments = fragments
    return bad
  }

  @Test(arguments: cases + deepSeekCases) func isRefused(bad: BadCheckpoint) throws {
    let fixture = try bad.fixture()
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    // The same fault in every layer is told once.
    let faults = expectFaults(bad.codes, bad.fragments) { _ = try MoEModel(opening: folder.path) }
    #expect(faults.first?.file == folder["config.json"])
    expectFault(.configuration) { _ = try SyntheticModel(configuration: fixture.configuration) }
  }

  /// transformers writes NaN and Infinity, which are no JSON; here they have no meaning.
  @Test(
    arguments: ["NaN", "Infinity", "-Infinity", "1e300"],
    ["routed_scaling_factor", "residual_multiplier", "rms_norm_eps"])
  func numbersThatAreNotFinite(value: String, key: String) throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["A.X-K1"]))
    fixture.configuration[key] = "@"
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let text = try String(contentsOfFile: folder["config.json"], encoding: .utf8).replacing("\"@\"", with: value)
    try text.write(toFile: folder["config.json"], atomically: true, encoding: .utf8)
    expectFaults([.configuration], [key, "a finite number", "config.json"]) { _ = try MoEModel(opening: folder.path) }
  }

  @Test func severalAtOnce() throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["DeepSeek-V3"]))
    for key in ["n_routed_experts", "num_experts_per_tok", "hidden_size"] { fixture.configuration[key] = "x" }
    expectFaults(
      [.configuration, .configuration, .configuration], ["n_routed_experts", "num_experts_per_tok", "hidden_size"]
    ) { try fixture.open() }
  }

  @Test func sparseSyntheticRefusals() throws {
    let configuration = try #require(TinyConfigurations.all["DeepSeek-V3"])
    for count in [0, -1, 3, Int.max] {
      expectFaults([.configuration], ["1...2"]) {
        _ = try SyntheticModel(configuration: configuration, layerCount: count)
      }
    }
    expectFaults([.configuration]) { _ = try SyntheticModel(configuration: configuration, expertCount: 0) }
    expectFaults([.unknownArchitecture]) { _ = try SyntheticModel(configuration: ["model_type": "llama"]) }
    var dense = configuration
    dense["first_k_dense_replace"] = 7
    expectFaults([.configuration]) { _ = try SyntheticModel(configuration: dense) }
  }
}
