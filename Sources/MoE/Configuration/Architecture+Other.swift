// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Architecture {
  /// Families whose routing is their own.
  static let otherFamilies: [Architecture] = [
    Architecture("Phi-3.5-MoE", types: ["phimoe"], classes: ["PhiMoEForCausalLM", "PhimoeForCausalLM"]) {
      $0.hasExpertsEverywhere = true
      $0.blocks = ["block_sparse_moe", "mlp"]
      $0.layouts = .w123
      $0.routing = { context throws(MoEError) in
        guard context.topK == 2 else {
          throw MoEError(
            .configuration, "SparseMixer chooses two experts", file: context.configuration.file,
            subject: "num_experts_per_tok", expected: "2", found: "\(context.topK)")
        }
        return RouterPlan(.sparseMixer(jitter: try context.configuration.number("router_jitter_noise") ?? 0.01))
      }
    },
    ernie("Ernie-4.5-MoE", types: ["ernie4_5_moe"], classes: ["Ernie4_5_MoeForCausalLM"]),
    ernie(
      "Ernie-4.5-VL-MoE", types: ["ernie4_5_moe_vl", "ernie4_5_vl_moe"],
      classes: ["Ernie4_5_VLMoeForConditionalGeneration", "Ernie4_5_VLMoeForCausalLM"]
    ) { $0.hasImageExperts = true },
    Architecture("LongCat-Flash", types: ["longcat_flash"], classes: ["LongcatFlashForCausalLM"]) {
      $0.gateWeight = ["{b}.router.classifier.weight"]
      $0.correctionBias = ["{b}.router.e_score_correction_bias"]
      $0.routing = { context throws(MoEError) in
        let configuration = context.configuration
        if let kind = try configuration.string("zero_expert_type"), kind != "identity" {
          throw MoEError(
            .configuration, "unknown kind of zero expert", file: configuration.file, subject: "zero_expert_type",
            expected: "identity", found: kind)
        }
        var plan = RouterPlan(
          .topK(TopKRecipe(scoring: .softmax, scale: try context.routedScale())), correctionBias: .required)
        plan.zeroExpertCount = try configuration.size("zero_expert_num") ?? 0
        return plan
      }
    },
    Architecture(
      "Grok-1, Grok-2", types: ["grok-1", "grok1", "grok-2", "grok2"],
      classes: ["Grok1ModelForCausalLM", "Grok1ForCausalLM", "Grok2ForCausalLM"]
    ) {
      $0.blocks = ["moe_block", "block_sparse_moe"]
      $0.layouts =
        [.perExpert("{b}.experts.", gate: "linear", up: "linear_v", down: "linear_1")] + .w123
      $0.activation = { context throws(MoEError) in
        try context.configuration.string("hidden_act") == nil ? Activation(.gelu) : context.activation()
      }
      $0.routing = { context throws(MoEError) in
        let cap = try context.configuration.number("router_logit_softcapping") ?? 30
        return RouterPlan(.topK(TopKRecipe(scoring: .softmax, softCap: cap, normalization: .sum(epsilon: 0))))
      }
    },
  ]

  private static func ernie(
    _ name: String, types: [String], classes: [String], _ adjust: (inout Self) -> Void = { _ in }
  ) -> Self {
    Self(name, types: types, classes: classes) {
      $0.correctionBias = ["{b}.moe_statics.e_score_correction_bias"]
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { context throws(MoEError) in
        let minimum = try context.configuration.number("moe_norm_min") ?? 1e-12
        var plan = RouterPlan.softmax(.clampedSum(minimum: minimum))
        plan.correctionBias = .required
        return plan
      }
      adjust(&$0)
    }
  }

  /// What is assumed of an unknown family: any of the known layouts, and routing by what the tensors show.
  static let unknown = Architecture("unknown", types: [], classes: []) {
    let correctionBias =
      $0.correctionBias + [
        "{b}.moe_statics.e_score_correction_bias", "{b}.router_bias", "{b}.experts.e_score_correction_bias",
        "{b}.router.e_score_correction_bias", "{b}.router.expert_bias",
      ]
    $0.correctionBias = correctionBias
    $0.blocks = ["mlp", "block_sparse_moe", "feed_forward", "ffn", "moe", "mixer", "moe_block"]
    $0.layouts = .w123 + [.step]
    $0.gateWeight = ["{b}.gate.weight", "{b}.router.weight", "{b}.router.layer.weight", "{b}.router.gate.weight"]
    $0.gateBias = ["{b}.router.bias"]
    $0.sharedGate = "{b}.shared_expert_gate.weight"
    $0.sharedLayouts =
      .shared("{b}.shared_experts") + .shared("{b}.shared_expert") + .shared("{b}.shared_mlp") + .shared("shared_mlp")
      + .shared("share_expert")
    $0.routing = { context throws(MoEError) in
      correctionBias.contains(where: context.hasTensor)
        ? try context.deepSeekV3() : try context.softmax(renormalizedByDefault: true)
    }
  }
}
