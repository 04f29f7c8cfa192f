// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Architecture {
  /// Families that score by a softmax over all experts, or over the chosen ones.
  static let softmaxFamilies: [Architecture] = [
    Architecture("Mixtral", types: ["mixtral"], classes: ["MixtralForCausalLM"]) {
      $0.hasExpertsEverywhere = true
      $0.blocks = ["block_sparse_moe", "mlp"]
      $0.layouts = .w123
    },
    Architecture(
      "Qwen2-MoE", types: ["qwen2_moe"], classes: ["Qwen2MoeForCausalLM"]
    ) {
      $0.sharedLayouts = .shared("{b}.shared_expert")
      $0.sharedGate = "{b}.shared_expert_gate.weight"
      $0.routing = { context throws(MoEError) in try context.softmax(renormalizedByDefault: false) }
    },
    Architecture("Qwen3-MoE", types: ["qwen3_moe"], classes: ["Qwen3MoeForCausalLM"]) {
      $0.sharedLayouts = .shared("{b}.shared_expert")
      $0.routing = { context throws(MoEError) in try context.softmax(renormalizedByDefault: false) }
    },
    Architecture("Qwen3-Next", types: ["qwen3_next"], classes: ["Qwen3NextForCausalLM"]) {
      $0.sharedLayouts = .shared("{b}.shared_expert")
      $0.sharedGate = "{b}.shared_expert_gate.weight"
      $0.routing = { context throws(MoEError) in try context.softmax(renormalizedByDefault: true) }
    },
    Architecture(
      "Qwen3.5-MoE", types: ["qwen3_5_moe_text", "qwen3_5_moe"],
      classes: ["Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"]
    ) {
      $0.sharedLayouts = .shared("{b}.shared_expert")
      $0.sharedGate = "{b}.shared_expert_gate.weight"
    },
    Architecture(
      "Qwen3-VL-MoE", types: ["qwen3_vl_moe_text", "qwen3_vl_moe"],
      classes: ["Qwen3VLMoeForConditionalGeneration", "Qwen3VLMoeTextModel"]
    ) {
      $0.stack = "model.language_model.layers."
      $0.layouts = .inputMajor
    },
    Architecture("Mellum", types: ["mellum"], classes: ["MellumForCausalLM"]) {
      $0.routing = { context throws(MoEError) in try context.softmax(renormalizedByDefault: true) }
    },
    Architecture(
      "OLMoE", types: ["olmoe", "flex_olmo"], classes: ["OlmoeForCausalLM", "FlexOlmoForCausalLM"]
    ) {
      $0.hasExpertsEverywhere = true
      $0.routing = { context throws(MoEError) in try context.softmax(renormalizedByDefault: false) }
    },
    Architecture("Jamba", types: ["jamba"], classes: ["JambaForCausalLM"]) {
      $0.blocks = ["feed_forward"]
      $0.gateWeight = ["{b}.router.weight"]
      $0.routing = { _ in .softmax(.none) }
    },
    Architecture(
      "MiniMax-Text-01", types: ["minimax", "minimax_m1", "minimax_text_01"],
      classes: ["MiniMaxForCausalLM", "MiniMaxM1ForCausalLM", "MiniMaxText01ForCausalLM"]
    ) {
      $0.hasExpertsEverywhere = true
      $0.blocks = ["block_sparse_moe", "mlp"]
      $0.layouts = .w123
      // MiniMax-Text-01 can mix in a dense MLP beside the block by a learned coefficient; no release does.
      $0.sharedLayouts = .shared("shared_mlp")
      $0.sharedGate = "coefficient.weight"
      $0.sharedIntermediateSize = { context throws(MoEError) in
        try context.configuration.size("shared_intermediate_size", layer: context.layer)
      }
      $0.sharedCombination = { context throws(MoEError) in
        let size = try context.configuration.size("shared_intermediate_size", layer: context.layer) ?? 0
        let mode = try context.configuration.string("shared_moe_mode") ?? "softmax"
        guard size == 0 || mode == "sigmoid" else {
          throw MoEError(
            .configuration, "this way to mix in the shared MLP is not known", file: context.configuration.file,
            subject: "shared_moe_mode", expected: "sigmoid", found: mode)
        }
        return .interpolate
      }
    },
    Architecture("Arctic", types: ["arctic"], classes: ["ArcticForCausalLM"]) {
      $0.blocks = ["block_sparse_moe"]
      $0.layouts = .w123
      $0.routing = { context in .softmax(context.topK > 1 ? .sum(epsilon: 0) : .none) }
    },
    Architecture(
      "Hunyuan-A13B", types: ["hunyuan_v1_moe", "hunyuan"], classes: ["HunYuanMoEV1ForCausalLM"]
    ) {
      $0.gateWeight = ["{b}.gate.wg.weight", "{b}.gate.weight"]
      $0.sharedLayouts = .shared("{b}.shared_mlp")
      $0.sharedIntermediateSize = { context throws(MoEError) in try context.sharedIntermediateSize(defaultCount: 1) }
    },
    Architecture("Bailing (Ling, Ring) v1", types: ["bailing_moe"], classes: ["BailingMoeForCausalLM"]) {
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { context throws(MoEError) in try context.softmax(renormalizedByDefault: true) }
    },
    Architecture(
      "Step-3", types: ["step3_text", "step3_vl"],
      classes: ["Step3TextForCausalLM", "Step3VLForConditionalGeneration"]
    ) {
      $0.blocks = ["moe"]
      $0.layouts = [.step]
      $0.sharedLayouts = .shared("share_expert")
      $0.routing = { context throws(MoEError) in try context.softmax(renormalizedByDefault: true) }
    },
    Architecture("DBRX", types: ["dbrx"], classes: ["DbrxForCausalLM"]) {
      $0.hasExpertsEverywhere = true
      $0.stack = "transformer.blocks."
      $0.blocks = ["ffn"]
      $0.layouts = [.merged(gate: "{b}.experts.mlp.w1", up: "{b}.experts.mlp.v1", down: "{b}.experts.mlp.w2")]
      $0.gateWeight = ["{b}.router.layer.weight"]
      $0.routing = { context throws(MoEError) in
        let p = try context.configuration.number("ffn_config.moe_normalize_expert_weights")
        return .softmax(p.map { .pNorm($0) } ?? .none)
      }
    },
    Architecture(
      "Granite-MoE", types: ["granitemoe", "granitemoeshared", "granitemoehybrid"],
      classes: ["GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", "GraniteMoeHybridForCausalLM"]
    ) {
      $0.hasExpertsEverywhere = true
      $0.blocks = ["block_sparse_moe"]
      $0.layouts =
        [
          .fused(
            gateUp: "{b}.input_linear", down: "{b}.output_linear", weightSuffix: ".weight", biasSuffix: ".bias",
            isInputMajor: false)
        ] + .projections
      $0.gateWeight = ["{b}.router.layer.weight"]
      $0.sharedLayouts = [.singleFused(gateUp: "shared_mlp.input_linear", down: "shared_mlp.output_linear")]
      $0.routing = { _ in .selectedSoftmax }
    },
    Architecture(
      "Aria", types: ["aria_text", "aria"], classes: ["AriaTextForCausalLM", "AriaForConditionalGeneration"]
    ) {
      $0.layouts =
        [
          .fused(
            gateUp: "{b}.experts.fc1", down: "{b}.experts.fc2", weightSuffix: ".weight", biasSuffix: ".bias",
            isInputMajor: true)
        ] + .inputMajor
      $0.gateWeight = ["{b}.router.weight"]
      $0.sharedLayouts = .shared("{b}.shared_experts")
      $0.routing = { _ in .selectedSoftmax }
    },
    Architecture("gpt-oss", types: ["gpt_oss"], classes: ["GptOssForCausalLM"]) {
      $0.hasExpertsEverywhere = true
      $0.layouts = [
        .fused(
          gateUp: "{b}.experts.gate_up_proj", down: "{b}.experts.down_proj", isInputMajor: true, isInterleaved: true)
      ]
      $0.gateWeight = ["{b}.router.weight"]
      $0.gateBias = ["{b}.router.bias"]
      $0.hasExpertBias = true
      $0.routing = { _ in .selectedSoftmax }
      $0.activation = { context throws(MoEError) in try context.swigluOAI() }
    },
    Architecture(
      "Gemma-4 MoE", types: ["gemma4_text", "gemma4"], classes: ["Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"]
    ) {
      $0.blocks = ["experts"]
      $0.layouts = [
        .fused(gateUp: "{b}.gate_up_proj", down: "{b}.down_proj", isInputMajor: false),
        .perExpert("{b}.", gate: "gate_proj", up: "up_proj", down: "down_proj"),
      ]
      $0.gateWeight = ["router.proj.weight"]
      $0.gateInputScale = "router.scale"
      $0.perExpertScale = "router.per_expert_scale"
    },
  ]
}

extension ExpertLayout {
  /// Step-3: a stacked tensor for each projection beside the gate.
  static let step = stacked(gate: "{b}.gate_proj", up: "{b}.up_proj", down: "{b}.down_proj")
}
