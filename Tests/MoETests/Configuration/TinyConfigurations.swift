// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints

/// A configuration of each family in its own spelling, as small as it can be: hidden size 32, experts of width 12.
enum TinyConfigurations {
  /// By the name of the architecture.
  static let all: [String: [String: JSONValue]] = softmax.merging(sigmoid) { $1 }.merging(grouped) { $1 }
    .merging(other) { $1 }

  private static func family(
    _ type: String, _ className: String, _ others: [String: JSONValue]
  ) -> [String: JSONValue] {
    let common: [String: JSONValue] = [
      "model_type": .string(type), "architectures": [.string(className)], "num_hidden_layers": 2, "hidden_size": 32,
      "hidden_act": "silu", "rms_norm_eps": 1e-6, "vocab_size": 24,
    ]
    return common.merging(others) { $1 }
  }

  /// `num_experts` and its company.
  private static func qwen(_ others: [String: JSONValue] = [:]) -> [String: JSONValue] {
    ["num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 12].merging(others) { $1 }
  }

  /// `num_local_experts`, and the experts as wide as a dense layer would be.
  private static func mixtral(_ others: [String: JSONValue] = [:]) -> [String: JSONValue] {
    ["num_local_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 12].merging(others) { $1 }
  }

  private static func deepSeek(_ others: [String: JSONValue] = [:]) -> [String: JSONValue] {
    let common: [String: JSONValue] = [
      "n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 12, "n_shared_experts": 2,
      "n_group": 4, "topk_group": 2, "norm_topk_prob": true, "routed_scaling_factor": 2.5, "first_k_dense_replace": 1,
      "num_hidden_layers": 3, "intermediate_size": 48,
    ]
    return common.merging(others) { $1 }
  }

  private static let softmax: [String: [String: JSONValue]] = [
    "Mixtral": family("mixtral", "MixtralForCausalLM", mixtral()),
    "Qwen2-MoE": family(
      "qwen2_moe", "Qwen2MoeForCausalLM", qwen(["shared_expert_intermediate_size": 20, "norm_topk_prob": false])),
    "Qwen3-MoE": family("qwen3_moe", "Qwen3MoeForCausalLM", qwen(["norm_topk_prob": true])),
    "Qwen3-Next": family("qwen3_next", "Qwen3NextForCausalLM", qwen(["shared_expert_intermediate_size": 20])),
    "Qwen3.5-MoE": family(
      "qwen3_5_moe_text", "Qwen3_5MoeForCausalLM", qwen(["shared_expert_intermediate_size": 20])),
    "Qwen3-VL-MoE": family("qwen3_vl_moe_text", "Qwen3VLMoeTextModel", qwen()),
    "Mellum": family("mellum", "MellumForCausalLM", qwen()),
    "OLMoE": family(
      "olmoe", "OlmoeForCausalLM", ["num_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 12]),
    "Jamba": family(
      "jamba", "JambaForCausalLM", ["num_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 12]),
    "MiniMax-Text-01": family("minimax_m1", "MiniMaxM1ForCausalLM", mixtral(["shared_intermediate_size": 0])),
    "Arctic": family("arctic", "ArcticForCausalLM", mixtral()),
    "Hunyuan-A13B": family(
      "hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM",
      ["num_experts": 8, "moe_topk": 2, "intermediate_size": 12, "num_shared_expert": 1]),
    "Bailing (Ling, Ring) v1": family(
      "bailing_moe", "BailingMoeForCausalLM", qwen(["num_shared_experts": 2, "norm_topk_prob": true])),
    "Step-3": family(
      "step3_text", "Step3TextForCausalLM",
      [
        "moe_num_experts": 8, "moe_top_k": 3, "moe_intermediate_size": 12, "share_expert_dim": 20,
        "norm_expert_weight": true,
      ]),
    "DBRX": [
      "model_type": "dbrx", "architectures": ["DbrxForCausalLM"], "d_model": 32, "n_layers": 2,
      "ffn_config": [
        "moe_num_experts": 4, "moe_top_k": 2, "ffn_hidden_size": 12, "moe_normalize_expert_weights": 1,
        "ffn_act_fn": ["name": "silu"],
      ],
    ],
    "Granite-MoE": family(
      "granitemoeshared", "GraniteMoeSharedForCausalLM",
      mixtral(["shared_intermediate_size": 20, "residual_multiplier": 0.22])),
    "Aria": family(
      "aria_text", "AriaTextForCausalLM",
      ["moe_num_experts": 8, "moe_topk": 3, "moe_num_shared_experts": 2, "intermediate_size": 12]),
    "gpt-oss": family(
      "gpt_oss", "GptOssForCausalLM",
      [
        "num_local_experts": 8, "num_experts_per_tok": 2, "experts_per_token": 2, "intermediate_size": 12,
        "swiglu_limit": 0.5,
      ]),
    "Gemma-4 MoE": family(
      "gemma4_text", "Gemma4ForCausalLM",
      [
        "num_experts": 8, "top_k_experts": 3, "moe_intermediate_size": 12, "hidden_act": nil,
        "hidden_activation": "gelu_pytorch_tanh", "enable_moe_block": true,
      ]),
  ]

  private static let sigmoid: [String: [String: JSONValue]] = [
    "MiniMax-M2": family(
      "minimax_m2", "MiniMaxM2ForCausalLM", mixtral(["scoring_func": "sigmoid", "use_routing_bias": true])),
    "MiniMax-M3": family(
      "minimax_m3_vl_text", "MiniMaxM3SparseForCausalLM",
      mixtral(["shared_intermediate_size": 20, "routed_scaling_factor": 2, "swiglu_limit": 0.5, "swiglu_alpha": 1.5])),
    "Hunyuan-v3": family(
      "hy_v3", "HYV3ForCausalLM",
      [
        "num_experts": 8, "num_experts_per_tok": 3, "expert_hidden_dim": 12, "num_shared_experts": 1,
        "router_scaling_factor": 2.5, "route_norm": true, "intermediate_size": 48,
      ]),
    "AFMoE (Trinity)": family(
      "afmoe", "AfmoeForCausalLM",
      qwen(["num_shared_experts": 1, "route_scale": 2.5, "route_norm": true, "num_dense_layers": 1])),
    "LFM2-MoE": family(
      "lfm2_moe", "Lfm2MoeForCausalLM",
      qwen(["num_dense_layers": 1, "use_expert_bias": true, "routed_scaling_factor": 1.5])),
    "Step-3.5": family(
      "step3p5", "Step3p5ForCausalLM",
      [
        "moe_num_experts": 8, "moe_top_k": 3, "moe_intermediate_size": 12, "share_expert_dim": 20,
        "norm_expert_weight": true, "moe_router_activation": "sigmoid", "use_moe_router_bias": true,
        "moe_router_scaling_factor": 3, "swiglu_limits": [0.5, nil], "swiglu_limits_shared": [0, 0.25],
      ]),
    "Laguna": family(
      "laguna", "LagunaForCausalLM",
      qwen([
        "shared_expert_intermediate_size": 20, "moe_routed_scaling_factor": 2.5, "moe_router_logit_softcapping": 5,
        "moe_apply_router_weight_on_input": true,
      ])),
    "Flint": family("flint", "FlintForCausalLM", qwen(["shared_expert_intermediate_size": 20])),
    "Kolibri-1": family(
      "kolibri1", "Kolibri1ForCausalLM",
      [
        "num_local_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 12,
        "shared_expert_intermediate_size": 20, "norm_topk_prob": false,
      ]),
    "Cohere2-MoE": family(
      "cohere2_moe", "Cohere2MoeForCausalLM",
      [
        "num_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 12, "num_shared_experts": 1,
        "expert_selection_fn": "sigmoid", "norm_topk_prob": true, "shared_expert_combination_strategy": "average",
      ]),
    "Llama-4": family(
      "llama4_text", "Llama4ForCausalLM",
      ["num_local_experts": 4, "num_experts_per_tok": 1, "intermediate_size": 12, "intermediate_size_mlp": 48]),
  ]

  private static let grouped: [String: [String: JSONValue]] = [
    "DeepSeek-V3": family(
      "deepseek_v3", "DeepseekV3ForCausalLM", deepSeek(["scoring_func": "sigmoid", "topk_method": "noaux_tc"])),
    "DeepSeek-V3.2": family("deepseek_v32", "DeepseekV32ForCausalLM", deepSeek()),
    "Kimi-K2": family("kimi_k2", "DeepseekV3ForCausalLM", deepSeek(["n_group": 1, "topk_group": 1])),
    "GLM-4.5": family("glm4_moe", "Glm4MoeForCausalLM", deepSeek()),
    "GLM-4-MoE-Lite": family("glm4_moe_lite", "Glm4MoeLiteForCausalLM", deepSeek()),
    "GLM-MoE-DSA": family("glm_moe_dsa", "GlmMoeDsaForCausalLM", deepSeek()),
    "dots.llm1": family("dots1", "Dots1ForCausalLM", deepSeek()),
    "Exaone-MoE": family(
      "exaone_moe", "ExaoneMoeForCausalLM",
      qwen(["num_shared_experts": 1, "n_group": 2, "topk_group": 1, "routed_scaling_factor": 2.5])),
    "Solar-Open": family("solar_open", "SolarOpenForCausalLM", deepSeek()),
    "Mistral-4": family("mistral4", "Mistral4ForCausalLM", deepSeek()),
    "MiMo-V2-Flash": family("mimo_v2_flash", "MiMoV2FlashForCausalLM", deepSeek(["n_shared_experts": nil])),
    "A.X-K1": family("axk1", "AXK1ForCausalLM", deepSeek()),
    "Kimi-Linear": family(
      "kimi_linear", "KimiLinearForCausalLM",
      [
        "num_experts": 8, "num_experts_per_token": 3, "moe_intermediate_size": 12, "num_shared_experts": 1,
        "num_expert_group": 2, "topk_group": 1, "moe_renormalize": true, "routed_scaling_factor": 2.5,
        "first_k_dense_replace": 1,
      ]),
    "Ling-2.0, Ring-2": family(
      "bailing_moe_v2", "BailingMoeV2ForCausalLM",
      qwen([
        "num_shared_experts": 1, "n_group": 4, "topk_group": 2, "score_function": "sigmoid",
        "moe_router_enable_expert_bias": true, "routed_scaling_factor": 2.5,
      ])),
    "Nemotron-H MoE": family(
      "nemotron_h", "NemotronHForCausalLM",
      deepSeek([
        "n_shared_experts": 1, "moe_shared_expert_intermediate_size": 20, "moe_latent_size": 24,
        "mlp_hidden_act": "relu2", "hidden_act": nil,
      ])),
    "DeepSeek-V2": family(
      "deepseek_v2", "DeepseekV2ForCausalLM",
      deepSeek(["topk_method": "group_limited_greedy", "norm_topk_prob": false, "scoring_func": "softmax"])),
    "DeepSeek-V4": family(
      "deepseek_v4", "DeepseekV4ForCausalLM",
      deepSeek([
        "n_group": nil, "topk_group": nil, "first_k_dense_replace": nil, "scoring_func": "sqrtsoftplus",
        "swiglu_limit": 0.5, "mlp_layer_types": ["hash_moe", "moe", "moe"],
      ])),
  ]

  private static let other: [String: [String: JSONValue]] = [
    "Phi-3.5-MoE": family("phimoe", "PhiMoEForCausalLM", mixtral(["router_jitter_noise": 0.25])),
    "Ernie-4.5-MoE": family(
      "ernie4_5_moe", "Ernie4_5_MoeForCausalLM",
      [
        "moe_num_experts": 8, "moe_k": 3, "moe_intermediate_size": 12, "moe_num_shared_experts": 2,
        "moe_norm_min": 1e-12,
      ]),
    "Ernie-4.5-VL-MoE": family(
      "ernie4_5_moe_vl", "Ernie4_5_VLMoeForConditionalGeneration",
      [
        "moe_num_experts": [8, 8], "moe_k": 3, "moe_intermediate_size": [12, 4], "moe_num_shared_experts": 2,
        "moe_norm_min": 1e-12,
      ]),
    "LongCat-Flash": family(
      "longcat_flash", "LongcatFlashForCausalLM",
      [
        "n_routed_experts": 6, "moe_topk": 4, "expert_ffn_hidden_size": 12, "zero_expert_num": 4,
        "zero_expert_type": "identity", "routed_scaling_factor": 6, "num_hidden_layers": nil, "num_layers": 2,
      ]),
    "Grok-1, Grok-2": family(
      "grok-1", "Grok1ModelForCausalLM",
      ["num_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 12, "hidden_act": "gelu"]),
  ]
}
