// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import TestSupport
import Testing

/// Every spelling of the table of architectures finds its family.
@Suite struct ArchitectureMatchTests {
  /// `model_type` and class name; nil is absent.
  static let spellings: [(family: String, type: String?, className: String?)] = [
    ("Mixtral", "mixtral", nil), ("Mixtral", nil, "MixtralForCausalLM"),
    ("Qwen2-MoE", "qwen2_moe", nil), ("Qwen2-MoE", nil, "Qwen2MoeForCausalLM"),
    ("Qwen3-MoE", "qwen3_moe", nil), ("Qwen3-MoE", nil, "Qwen3MoeForCausalLM"),
    ("Qwen3-Next", "qwen3_next", nil), ("Qwen3-Next", nil, "Qwen3NextForCausalLM"),
    ("Qwen3.5-MoE", "qwen3_5_moe_text", nil), ("Qwen3.5-MoE", "qwen3_5_moe", nil),
    ("Qwen3.5-MoE", nil, "Qwen3_5MoeForCausalLM"), ("Qwen3.5-MoE", nil, "Qwen3_5MoeForConditionalGeneration"),
    ("Qwen3-VL-MoE", "qwen3_vl_moe", nil), ("Qwen3-VL-MoE", nil, "Qwen3VLMoeForConditionalGeneration"),
    ("OLMoE", "olmoe", nil), ("OLMoE", "flex_olmo", nil), ("OLMoE", nil, "OlmoeForCausalLM"),
    ("OLMoE", nil, "FlexOlmoForCausalLM"),
    ("DeepSeek-V2", "deepseek_v2", nil), ("DeepSeek-V2", nil, "DeepseekV2ForCausalLM"),
    ("DeepSeek-V3", "deepseek_v3", nil), ("DeepSeek-V3", nil, "DeepseekV3ForCausalLM"),
    ("DeepSeek-V3.2", "deepseek_v32", nil), ("DeepSeek-V3.2", nil, "DeepseekV32ForCausalLM"),
    ("DeepSeek-V4", "deepseek_v4", nil), ("DeepSeek-V4", nil, "DeepseekV4ForCausalLM"),
    ("Kimi-K2", "kimi_k2", "DeepseekV3ForCausalLM"), ("Kimi-K2", "kimi_k25", nil),
    ("Kimi-Linear", "kimi_linear", nil), ("Kimi-Linear", nil, "KimiLinearForCausalLM"),
    ("GLM-4.5", "glm4_moe", nil), ("GLM-4.5", "glm4v_moe", nil), ("GLM-4.5", nil, "Glm4MoeForCausalLM"),
    ("GLM-4-MoE-Lite", nil, "Glm4MoeLiteForCausalLM"), ("GLM-MoE-DSA", nil, "GlmMoeDsaForCausalLM"),
    ("gpt-oss", "gpt_oss", nil), ("gpt-oss", nil, "GptOssForCausalLM"),
    ("Llama-4", "llama4", nil), ("Llama-4", "llama4_text", nil), ("Llama-4", nil, "Llama4ForConditionalGeneration"),
    ("Llama-4", nil, "Llama4ForCausalLM"),
    ("Phi-3.5-MoE", "phimoe", nil), ("Phi-3.5-MoE", nil, "PhiMoEForCausalLM"),
    ("DBRX", "dbrx", nil), ("DBRX", nil, "DbrxForCausalLM"),
    ("Granite-MoE", "granitemoe", nil), ("Granite-MoE", "granitemoeshared", nil),
    ("Granite-MoE", "granitemoehybrid", nil), ("Granite-MoE", nil, "GraniteMoeForCausalLM"),
    ("Granite-MoE", nil, "GraniteMoeSharedForCausalLM"), ("Granite-MoE", nil, "GraniteMoeHybridForCausalLM"),
    ("Jamba", "jamba", nil), ("Jamba", nil, "JambaForCausalLM"),
    ("MiniMax-Text-01", "minimax", nil), ("MiniMax-Text-01", "minimax_m1", nil),
    ("MiniMax-Text-01", "minimax_text_01", nil), ("MiniMax-Text-01", nil, "MiniMaxForCausalLM"),
    ("MiniMax-Text-01", nil, "MiniMaxM1ForCausalLM"), ("MiniMax-Text-01", nil, "MiniMaxText01ForCausalLM"),
    ("MiniMax-M2", "minimax_m2", nil), ("MiniMax-M2", nil, "MiniMaxM2ForCausalLM"),
    ("MiniMax-M3", "minimax_m3_vl_text", nil), ("MiniMax-M3", nil, "MiniMaxM3SparseForCausalLM"),
    ("MiniMax-M3", nil, "MiniMaxM3VLForConditionalGeneration"),
    ("Ernie-4.5-MoE", "ernie4_5_moe", nil), ("Ernie-4.5-MoE", nil, "Ernie4_5_MoeForCausalLM"),
    ("Hunyuan-A13B", "hunyuan_v1_moe", nil), ("Hunyuan-A13B", nil, "HunYuanMoEV1ForCausalLM"),
    ("Hunyuan-v3", "hy_v3", nil), ("Hunyuan-v3", nil, "HYV3ForCausalLM"),
    ("dots.llm1", "dots1", nil), ("dots.llm1", nil, "Dots1ForCausalLM"),
    ("Bailing (Ling, Ring) v1", "bailing_moe", nil), ("Bailing (Ling, Ring) v1", nil, "BailingMoeForCausalLM"),
    ("Bailing (Ling, Ring) v1", "bailing_moe", "BailingMoeForCausalLM"),
    // Ling-2.0 has kept the model type of Ling-1.
    ("Ling-2.0, Ring-2", "bailing_moe", "BailingMoeV2ForCausalLM"), ("Ling-2.0, Ring-2", "bailing_moe_v2", nil),
    ("Ling-2.0, Ring-2", "bailing_hybrid", nil), ("Ling-2.0, Ring-2", nil, "BailingHybridForCausalLM"),
    ("Ling-2.0, Ring-2", nil, "BailingMoeV2_5ForCausalLM"), ("Ling-2.0, Ring-2", nil, "BailingMoeV3ForCausalLM"),
    ("Step-3", "step3_text", nil), ("Step-3", nil, "Step3TextForCausalLM"),
    ("Step-3", nil, "Step3VLForConditionalGeneration"),
    ("Step-3.5", "step3p5", nil), ("Step-3.5", "step3p7", nil), ("Step-3.5", nil, "Step3p5ForCausalLM"),
    ("Nemotron-H MoE", "nemotron_h", nil), ("Nemotron-H MoE", nil, "NemotronHForCausalLM"),
    ("Arctic", "arctic", nil), ("Arctic", nil, "ArcticForCausalLM"),
    ("Grok-1, Grok-2", "grok-1", nil), ("Grok-1, Grok-2", nil, "Grok1ModelForCausalLM"),
    ("Grok-1, Grok-2", "git", "Grok1ForCausalLM"),
    ("AFMoE (Trinity)", "afmoe", nil), ("AFMoE (Trinity)", nil, "AfmoeForCausalLM"),
    ("LFM2-MoE", "lfm2_moe", nil), ("LFM2-MoE", nil, "Lfm2MoeForCausalLM"),
    ("LongCat-Flash", "longcat_flash", nil), ("LongCat-Flash", nil, "LongcatFlashForCausalLM"),
    ("Exaone-MoE", "exaone_moe", nil), ("Exaone-MoE", nil, "ExaoneMoeForCausalLM"),
    ("Solar-Open", nil, "SolarOpenForCausalLM"), ("Mistral-4", nil, "Mistral4ForCausalLM"),
    ("A.X-K1", nil, "AXK1ForCausalLM"),
    ("MiMo-V2-Flash", "mimo_v2_flash", nil), ("MiMo-V2-Flash", nil, "MiMoV2FlashForCausalLM"),
    ("Cohere2-MoE", "cohere2_moe", nil), ("Cohere2-MoE", nil, "Cohere2MoeForCausalLM"),
    ("Gemma-4 MoE", "gemma4_text", nil), ("Gemma-4 MoE", nil, "Gemma4ForCausalLM"),
    ("Laguna", "laguna", nil), ("Laguna", nil, "LagunaForCausalLM"),
    ("Aria", "aria_text", nil), ("Aria", nil, "AriaForConditionalGeneration"),
    ("Mellum", "mellum", nil), ("Flint", "flint", nil), ("Kolibri-1", "kolibri1", nil),
  ]

  @Test(arguments: spellings.indices) func spelling(index: Int) throws {
    let (family, type, className) = Self.spellings[index]
    var configuration = try #require(TinyConfigurations.all[family])
    configuration["model_type"] = type.map { .string($0) }
    configuration["architectures"] = className.map { [.string($0)] }
    let first = try ModelConfiguration(.object(configuration), file: "").integer(
      "first_k_dense_replace", "num_dense_layers")
    let model = try SyntheticModel(configuration: configuration, layerCount: 1)
    let folder = try TemporaryFolder()
    try model.write(to: folder.path, seed: 1, sparse: true)
    let found = try MoEModel(opening: folder.path)
    #expect(found.architecture == family)
    #expect(found.layers.map(\.index) == [first ?? 0])
  }
}
