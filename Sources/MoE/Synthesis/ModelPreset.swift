// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints

/// The sizes of a released model, as its `config.json` gives them.
///
/// ```swift
/// ModelPreset(named: "mixtral-8x7b")?.configuration["hidden_size"]  // 4096
/// ```
public struct ModelPreset: Sendable {
  public let name: String
  /// What `config.json` says about the experts and their routing.
  public let configuration: [String: JSONValue]

  /// The preset of a name, letters in either case.
  public init?(named name: String) {
    guard let preset = Self.all.first(where: { $0.name.lowercased() == name.lowercased() }) else { return nil }
    self = preset
  }

  init(
    _ name: String, _ modelType: String, _ className: String, layers: Int, hidden: Int, intermediate: Int,
    _ others: [String: JSONValue]
  ) {
    self.name = name
    let common: [String: JSONValue] = [
      "model_type": .string(modelType), "architectures": [.string(className)], "num_hidden_layers": .integer(layers),
      "hidden_size": .integer(hidden), "intermediate_size": .integer(intermediate), "hidden_act": "silu",
    ]
    configuration = common.merging(others) { _, other in other }
  }

  /// Every preset of this package.
  public static let all: [ModelPreset] = [
    qwen3("Qwen3-30B-A3B", layers: 48, hidden: 2048, dense: 6144, expert: 768),
    qwen3("Qwen3-235B-A22B", layers: 94, hidden: 4096, dense: 12288, expert: 1536),
    mixtral("Mixtral-8x7B", layers: 32, hidden: 4096, intermediate: 14336),
    mixtral("Mixtral-8x22B", layers: 56, hidden: 6144, intermediate: 16384),
    ModelPreset(
      "DeepSeek-V3", "deepseek_v3", "DeepseekV3ForCausalLM", layers: 61, hidden: 7168, intermediate: 18432,
      [
        "n_routed_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1,
        "first_k_dense_replace": 3, "moe_layer_freq": 1, "n_group": 8, "topk_group": 4, "norm_topk_prob": true,
        "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
      ]),
    ModelPreset(
      "DeepSeek-V2-Lite", "deepseek_v2", "DeepseekV2ForCausalLM", layers: 27, hidden: 2048, intermediate: 10944,
      [
        "n_routed_experts": 64, "num_experts_per_tok": 6, "moe_intermediate_size": 1408, "n_shared_experts": 2,
        "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": false,
        "routed_scaling_factor": 1.0, "scoring_func": "softmax", "topk_method": "greedy",
      ]),
    ModelPreset(
      "Kimi-K2", "kimi_k2", "DeepseekV3ForCausalLM", layers: 61, hidden: 7168, intermediate: 18432,
      [
        "n_routed_experts": 384, "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1,
        "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": true,
        "routed_scaling_factor": 2.827, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
      ]),
    gptOSS("gpt-oss-20b", layers: 24, experts: 32),
    gptOSS("gpt-oss-120b", layers: 36, experts: 128),
    ModelPreset(
      "OLMoE-1B-7B", "olmoe", "OlmoeForCausalLM", layers: 16, hidden: 2048, intermediate: 1024,
      ["num_experts": 64, "num_experts_per_tok": 8, "norm_topk_prob": false]),
    ModelPreset(
      "Granite-3-1B-A400M", "granitemoe", "GraniteMoeForCausalLM", layers: 24, hidden: 1024, intermediate: 512,
      ["num_local_experts": 32, "num_experts_per_tok": 8, "residual_multiplier": 0.22]),
    ModelPreset(
      "Phi-3.5-MoE", "phimoe", "PhiMoEForCausalLM", layers: 32, hidden: 4096, intermediate: 6400,
      ["num_local_experts": 16, "num_experts_per_tok": 2, "router_jitter_noise": 0.01]),
    ModelPreset(
      "Llama-4-Scout", "llama4_text", "Llama4ForCausalLM", layers: 48, hidden: 5120, intermediate: 8192,
      ["num_local_experts": 16, "num_experts_per_tok": 1, "interleave_moe_layer_step": 1]),
    ModelPreset(
      "DBRX", "dbrx", "DbrxForCausalLM", layers: 40, hidden: 6144, intermediate: 10752,
      [
        "ffn_config": [
          "moe_num_experts": 16, "moe_top_k": 4, "ffn_hidden_size": 10752, "moe_normalize_expert_weights": 1.0,
        ]
      ]),
  ]

  private static func qwen3(_ name: String, layers: Int, hidden: Int, dense: Int, expert: Int) -> ModelPreset {
    ModelPreset(
      name, "qwen3_moe", "Qwen3MoeForCausalLM", layers: layers, hidden: hidden, intermediate: dense,
      [
        "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": .integer(expert),
        "norm_topk_prob": true, "decoder_sparse_step": 1, "mlp_only_layers": [],
      ])
  }

  private static func mixtral(_ name: String, layers: Int, hidden: Int, intermediate: Int) -> ModelPreset {
    ModelPreset(
      name, "mixtral", "MixtralForCausalLM", layers: layers, hidden: hidden, intermediate: intermediate,
      ["num_local_experts": 8, "num_experts_per_tok": 2])
  }

  private static func gptOSS(_ name: String, layers: Int, experts: Int) -> ModelPreset {
    ModelPreset(
      name, "gpt_oss", "GptOssForCausalLM", layers: layers, hidden: 2880, intermediate: 2880,
      ["num_local_experts": .integer(experts), "num_experts_per_tok": 4, "swiglu_limit": 7.0])
  }
}
