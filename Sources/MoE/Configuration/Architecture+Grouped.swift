// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Architecture {
  /// DeepSeek-V3 and the families that route as it does.
  static let groupedFamilies: [Architecture] = [
    deepSeekV3("DeepSeek-V3", types: ["deepseek_v3"], classes: ["DeepseekV3ForCausalLM"]),
    deepSeekV3("DeepSeek-V3.2", types: ["deepseek_v32"], classes: ["DeepseekV32ForCausalLM"]),
    deepSeekV3(
      "Kimi-K2", types: ["kimi_k2", "kimi_k25"],
      classes: ["KimiK2ForCausalLM", "KimiK25ForConditionalGeneration"]),
    deepSeekV3(
      "GLM-4.5", types: ["glm4_moe", "glm4v_moe", "glm4v_moe_text"],
      classes: ["Glm4MoeForCausalLM", "Glm4vMoeForConditionalGeneration"]),
    deepSeekV3("GLM-4-MoE-Lite", types: ["glm4_moe_lite"], classes: ["Glm4MoeLiteForCausalLM"]),
    deepSeekV3("GLM-MoE-DSA", types: ["glm_moe_dsa"], classes: ["GlmMoeDsaForCausalLM"]),
    deepSeekV3("dots.llm1", types: ["dots1"], classes: ["Dots1ForCausalLM"]),
    deepSeekV3("Exaone-MoE", types: ["exaone_moe"], classes: ["ExaoneMoeForCausalLM"]),
    deepSeekV3("Solar-Open", types: ["solar_open"], classes: ["SolarOpenForCausalLM"]),
    deepSeekV3(
      "Mistral-4", types: ["mistral4", "mistral_large_3"], classes: ["Mistral4ForCausalLM", "MistralLarge3ForCausalLM"]),
    deepSeekV3("MiMo-V2-Flash", types: ["mimo_v2_flash"], classes: ["MiMoV2FlashForCausalLM"]) {
      $0.sharedLayouts = []
    },
    deepSeekV3("A.X-K1", types: ["axk1"], classes: ["AXK1ForCausalLM"]) {
      $0.outputNorm = "post_mlp_layernorm.weight"
    },
    deepSeekV3("Kimi-Linear", types: ["kimi_linear"], classes: ["KimiLinearForCausalLM"]) {
      $0.blocks = ["block_sparse_moe", "mlp"]
      $0.layouts = .w123
    },
    deepSeekV3(
      "Ling-2.0, Ring-2",
      types: [
        "bailing_moe_v2", "bailing_moe_v2_5", "bailing_moe_v3", "bailing_hybrid", "bailing_moe_linear", "bailing_moe",
      ],
      classes: [
        "BailingMoeV2ForCausalLM", "BailingMoeLinearV2ForCausalLM", "BailingMoeV2_5ForCausalLM",
        "BailingMoeV3ForCausalLM", "BailingHybridForCausalLM",
      ]
    ) {
      $0.routing = { context throws(MoEError) in
        let hasBias = try context.configuration.boolean("moe_router_enable_expert_bias") ?? true
        return try context.deepSeekV3(correctionBias: hasBias ? .required : .none)
      }
    },
    deepSeekV3("Nemotron-H MoE", types: ["nemotron_h"], classes: ["NemotronHForCausalLM"]) {
      $0.stack = "backbone.layers."
      $0.blocks = ["mixer"]
      $0.layouts = [.perExpert("{b}.experts.", gate: nil, up: "up_proj", down: "down_proj")]
      $0.sharedLayouts = [
        .single(gate: nil, up: "{b}.shared_experts.up_proj", down: "{b}.shared_experts.down_proj")
      ]
      $0.latent = (down: "{b}.fc1_latent_proj.weight", up: "{b}.fc2_latent_proj.weight")
      $0.activation = { context throws(MoEError) in
        var activation = try context.activation()
        activation.isGated = false
        return activation
      }
    },
    Architecture("DeepSeek-V2", types: ["deepseek_v2"], classes: ["DeepseekV2ForCausalLM"]) {
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { context throws(MoEError) in
        let isGrouped = try context.configuration.string("topk_method") == "group_limited_greedy"
        let groups = isGrouped ? try context.groups(score: .maximum, maskValue: 0) : nil
        // The original code renormalises *instead of* scaling.
        let normalization = try context.topK > 1 ? context.renormalization(default: false, epsilon: 1e-20) : .none
        return RouterPlan(
          .topK(
            TopKRecipe(
              scoring: try context.scoring(default: .softmax), groups: groups, normalization: normalization,
              scale: normalization == .none ? try context.routedScale() : 1)))
      }
    },
    Architecture("DeepSeek-V4", types: ["deepseek_v4"], classes: ["DeepseekV4ForCausalLM"]) {
      $0.stack = "layers."
      $0.blocks = ["ffn", "mlp"]
      $0.layouts = .w123
      $0.correctionBias = ["{b}.gate.bias", "{b}.gate.e_score_correction_bias"]
      $0.hashTable = "{b}.gate.tid2eid"
      $0.imageBias = "{b}.gate.bias_vl"
      $0.sharedLayouts =
        [
          .single(
            gate: "{b}.shared_experts.w1", up: "{b}.shared_experts.w3", down: "{b}.shared_experts.w2")
        ] + .shared("{b}.shared_experts")
      $0.activation = { context throws(MoEError) in Activation(.silu, limit: try context.limit("swiglu_limit")) }
      $0.routing = { context throws(MoEError) in
        let scoring = try context.scoring(default: .sqrtSoftplus)
        let scale = try context.routedScale()
        if try context.isHashLayer() {
          return RouterPlan(.hash(scoring: scoring, normalization: .sum(epsilon: 1e-20), scale: scale))
        }
        return RouterPlan(
          .topK(TopKRecipe(scoring: scoring, normalization: .sum(epsilon: 1e-20), scale: scale)),
          correctionBias: .required)
      }
    },
  ]

  private static func deepSeekV3(
    _ name: String, types: [String], classes: [String], _ adjust: (inout Self) -> Void = { _ in }
  ) -> Self {
    Self(name, types: types, classes: classes) {
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { context throws(MoEError) in try context.deepSeekV3() }
      adjust(&$0)
    }
  }
}
