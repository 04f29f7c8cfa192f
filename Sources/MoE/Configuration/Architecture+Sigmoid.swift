// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Architecture {
  /// Families that score by a sigmoid, without groups.
  static let sigmoidFamilies: [Architecture] = [
    Architecture("MiniMax-M2", types: ["minimax_m2"], classes: ["MiniMaxM2ForCausalLM"]) {
      $0.hasExpertsEverywhere = true
      $0.blocks = ["block_sparse_moe", "mlp"]
      $0.layouts = .w123
      $0.routing = { context throws(MoEError) in
        let hasBias = try context.configuration.boolean("use_routing_bias") ?? true
        return try context.sigmoid(correctionBias: hasBias ? .required : .none)
      }
    },
    Architecture(
      "MiniMax-M3", types: ["minimax_m3", "minimax_m3_vl", "minimax_m3_vl_text"],
      classes: ["MiniMaxM3SparseForCausalLM", "MiniMaxM3VLForConditionalGeneration", "MiniMaxM3VLForCausalLM"]
    ) {
      $0.blocks = ["block_sparse_moe", "mlp"]
      $0.layouts = .w123
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.activation = { context throws(MoEError) in try context.swigluOAI() }
      $0.routing = { context throws(MoEError) in
        var plan = try context.sigmoid(correctionBias: .required)
        plan.postScale = try context.routedScale()
        return plan
      }
    },
    Architecture("Hunyuan-v3", types: ["hy_v3"], classes: ["HYV3ForCausalLM"]) {
      $0.gateWeight = ["{b}.router.gate.weight"]
      $0.sharedLayouts = .shared("{b}.shared_mlp")
      $0.routing = { context throws(MoEError) in try context.deepSeekV3() }
    },
    Architecture("AFMoE (Trinity)", types: ["afmoe"], classes: ["AfmoeForCausalLM"]) {
      $0.gateWeight = ["{b}.router.gate.weight"]
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { context throws(MoEError) in try context.deepSeekV3() }
    },
    Architecture("LFM2-MoE", types: ["lfm2_moe"], classes: ["Lfm2MoeForCausalLM"]) {
      $0.blocks = ["feed_forward"]
      $0.layouts = .w123
      $0.routing = { context throws(MoEError) in
        let hasBias = try context.configuration.boolean("use_expert_bias") ?? true
        return try context.sigmoid(
          correctionBias: hasBias ? .required : .none,
          normalization: context.renormalization(default: true, epsilon: 1e-6), scale: context.routedScale())
      }
    },
    Architecture(
      "Step-3.5", types: ["step3p5", "step3p7"], classes: ["Step3p5ForCausalLM", "Step3p7ForCausalLM"]
    ) {
      $0.blocks = ["moe"]
      $0.layouts = [.step]
      $0.correctionBias = ["{b}.router_bias"]
      $0.sharedLayouts = .shared("share_expert")
      $0.routing = { context throws(MoEError) in
        let hasBias = try context.configuration.boolean("use_moe_router_bias") ?? false
        return try context.sigmoid(
          correctionBias: hasBias ? .required : .none, normalization: context.renormalization(default: true),
          scale: context.routedScale())
      }
      $0.activation = { context throws(MoEError) in
        Activation(.silu, limitAfter: try context.limit("swiglu_limits"))
      }
      $0.sharedActivation = { context throws(MoEError) in
        Activation(.silu, limitAfter: try context.limit("swiglu_limits_shared"))
      }
    },
    Architecture("Laguna", types: ["laguna"], classes: ["LagunaForCausalLM"]) {
      $0.correctionBias = ["{b}.experts.e_score_correction_bias"] + $0.correctionBias
      $0.sharedLayouts = .shared("{b}.shared_expert")
      $0.routing = { context throws(MoEError) in
        let cap = try context.configuration.number("moe_router_logit_softcapping")
        var plan = try context.sigmoid(correctionBias: .required, softCap: cap.flatMap { $0 > 0 ? $0 : nil })
        plan.postScale = try context.routedScale()
        plan.weightOnInput = try context.configuration.boolean("moe_apply_router_weight_on_input") ?? false
        return plan
      }
    },
    Architecture("Flint", types: ["flint"], classes: ["FlintForCausalLM"]) {
      $0.sharedLayouts = .shared("{b}.shared_expert")
      $0.routing = { context throws(MoEError) in
        try context.sigmoid(correctionBias: .none, normalization: context.renormalization(default: true))
      }
    },
    Architecture("Kolibri-1", types: ["kolibri1"], classes: ["Kolibri1ForCausalLM"]) {
      $0.correctionBias = ["moe.router.expert_bias"] + $0.correctionBias
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { context throws(MoEError) in
        // The bias is added to the logit, not to the score.
        RouterPlan(
          .topK(
            TopKRecipe(
              scoring: .sigmoid, ranksLogits: true, normalization: try context.renormalization(default: false),
              scale: try context.routedScale())),
          correctionBias: .required)
      }
    },
    Architecture("Cohere2-MoE", types: ["cohere2_moe"], classes: ["Cohere2MoeForCausalLM"]) {
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { context throws(MoEError) in
        guard try context.configuration.string("expert_selection_fn") == "sigmoid" else { return .selectedSoftmax }
        return RouterPlan(
          .topK(
            TopKRecipe(
              scoring: .sigmoid, ranksLogits: true, normalization: try context.renormalization(default: true))))
      }
      $0.sharedCombination = { context throws(MoEError) in
        try context.configuration.string("shared_expert_combination_strategy") == "average" ? .average : .sum
      }
    },
    Architecture(
      "Llama-4", types: ["llama4_text", "llama4"],
      classes: ["Llama4ForConditionalGeneration", "Llama4ForCausalLM"]
    ) {
      $0.blocks = ["feed_forward"]
      $0.layouts = .inputMajor
      $0.gateWeight = ["{b}.router.weight"]
      $0.sharedLayouts = .shared("{b}.shared_expert")
      $0.sharedIntermediateSize = { context in context.intermediateSize }
      $0.routing = { _ in
        var plan = RouterPlan(.topK(TopKRecipe(scoring: .sigmoid, ranksLogits: true)))
        plan.weightOnInput = true
        return plan
      }
    },
  ]
}
