// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

/// An architecture of llama.cpp, and the family whose rules it follows.
///
/// Files in GGUF name and arrange tensors in one way whatever the family, and say a part of its configuration. What they
/// leave out is what llama.cpp has in its source; here it stands in a table.
struct GGUFFamily: Sendable {
  /// `general.architecture`
  var architecture: String
  /// A `model_type` of the family.
  var modelType: String
  /// Other `model_type`s that are written as this architecture.
  var twins: [String]
  /// The scoring function that the metadata must declare for this entry to hold; nil for any.
  var scoring: String?
  /// Settings that hold where the metadata don't say them.
  var defaults: [String: JSONValue]
  /// Settings that the family reads by another name than most.
  var names: [String: String]
  /// What the family's own `config.json` calls settings that it reads by several names.
  var spelling: [String: String]
  /// The tensors beside the MoE blocks; nil where nobody wrote down what becomes of them.
  var others: GGUFTensorNames?

  init(
    _ architecture: String, _ modelType: String, twins: [String] = [], scoring: String? = nil,
    defaults: [String: JSONValue] = [:], names: [String: String] = [:], spelling: [String: String] = [:],
    others: GGUFTensorNames? = nil
  ) {
    (self.architecture, self.modelType, self.twins, self.scoring) = (architecture, modelType, twins, scoring)
    (self.defaults, self.names, self.spelling, self.others) = (defaults, names, spelling, others)
  }

  /// In the order of precedence.
  static let all: [GGUFFamily] = softmax + sigmoid

  private static let softmax: [GGUFFamily] = [
    GGUFFamily("llama", "mixtral", spelling: localExperts, others: .rotated),
    GGUFFamily("qwen2moe", "qwen2_moe", others: .common),
    GGUFFamily("qwen3moe", "qwen3_moe", defaults: ["norm_topk_prob": true], others: .common),
    GGUFFamily("olmoe", "olmoe", spelling: ["moe_intermediate_size": "intermediate_size"], others: .common),
    GGUFFamily("jamba", "jamba"),
    GGUFFamily("arctic", "arctic", spelling: localExperts),
    GGUFFamily("phimoe", "phimoe", spelling: localExperts),
    GGUFFamily("granitemoe", "granitemoe", twins: ["granitemoeshared"], spelling: localExperts),
    GGUFFamily("qwen3vlmoe", "qwen3_vl_moe_text"),
    GGUFFamily("qwen3next", "qwen3_next"),
    GGUFFamily("qwen35moe", "qwen3_5_moe_text"),
    GGUFFamily("dbrx", "dbrx", defaults: ["ffn_config": ["moe_normalize_expert_weights": 1]]),
    GGUFFamily("granitehybrid", "granitemoehybrid"),
    GGUFFamily("hunyuan-moe", "hunyuan_v1_moe"),
    GGUFFamily("ernie4_5-moe", "ernie4_5_moe"),
    GGUFFamily("bailingmoe", "bailing_moe"),
    GGUFFamily("gpt-oss", "gpt_oss", spelling: localExperts, others: .sinks),
    GGUFFamily("grok", "grok-1"),
    GGUFFamily("gemma4", "gemma4_text", defaults: ["hidden_act": "gelu_pytorch_tanh"]),
    GGUFFamily("cohere2moe", "cohere2_moe", scoring: "selectedSoftmax"),
  ]

  private static let sigmoid: [GGUFFamily] = [
    GGUFFamily("cohere2moe", "cohere2_moe", defaults: ["expert_selection_fn": "sigmoid"]),
    GGUFFamily(
      "deepseek2", "deepseek_v3", twins: ["kimi_k2"], scoring: "sigmoid", spelling: routedExperts, others: .latent),
    // Groups are declared only where they are used.
    GGUFFamily(
      "deepseek2", "deepseek_v2", defaults: ["topk_method": "group_limited_greedy"], spelling: routedExperts,
      others: .latent),
    // DeepSeek-MoE, the first; after the one that DeepSeek-V2 is written as.
    GGUFFamily("deepseek", "deepseek_v2"),
    GGUFFamily("deepseek32", "deepseek_v32"),
    GGUFFamily("deepseek4", "deepseek_v4", names: ["swiglu_limits": "swiglu_limit"]),
    GGUFFamily("glm4moe", "glm4_moe", spelling: routedExperts, others: .postNorm),
    GGUFFamily("dots1", "dots1", spelling: routedExperts, others: .common),
    GGUFFamily("afmoe", "afmoe"),
    GGUFFamily("glm-dsa", "glm_moe_dsa"),
    GGUFFamily("exaone-moe", "exaone_moe"),
    GGUFFamily("mimo2", "mimo_v2_flash"),
    GGUFFamily("kimi-linear", "kimi_linear"),
    GGUFFamily(
      "bailingmoe2", "bailing_moe_v2",
      names: ["shared_expert_intermediate_size": "moe_shared_expert_intermediate_size"]),
    GGUFFamily("nemotron_h_moe", "nemotron_h", defaults: ["hidden_act": "relu2"]),
    GGUFFamily("llama4", "llama4_text"),
    GGUFFamily("minimax-m2", "minimax_m2"),
    GGUFFamily("lfm2moe", "lfm2_moe"),
    GGUFFamily("step35", "step3p5", defaults: ["use_moe_router_bias": true]),
  ]
}

extension GGUFFamily {
  private static let localExperts = ["num_experts": "num_local_experts", "moe_intermediate_size": "intermediate_size"]
  private static let routedExperts = ["num_experts": "n_routed_experts"]

  /// The names of all settings that metadata have a key for, as the family spells them.
  var settingNames: Set<String> {
    Set(GGUFSetting.all.flatMap { [$0.name, names[$0.name], spelling[$0.name]].compactMap(\.self) })
  }

  /// How llama.cpp names the family of a `config.json`; nil where it has no name for it.
  static func named(_ configuration: ModelConfiguration) -> GGUFFamily? {
    let types = configuration.everyString("model_type")
    return types.lazy.compactMap { type in all.first { $0.modelType == type || $0.twins.contains(type) } }.first
  }

  /// The entry of a GGUF file's settings.
  private static func entry(of settings: [String: JSONValue]) -> GGUFFamily? {
    all.first { family in
      settings["model_type"]?.string == family.architecture
        && (family.scoring == nil || settings["scoring_func"]?.string == family.scoring)
    }
  }

  /// The settings of a GGUF file as the family reads them. An architecture that the table lacks may be one that is called
  /// as in a `config.json`, or that was registered.
  static func settings(
    of checkpoint: Checkpoint
  ) -> (family: GGUFFamily?, object: [String: JSONValue], keys: [String: String]) {
    var object = checkpoint.configuration.object ?? [:]
    var keys = checkpoint.configurationKeys
    guard let family = entry(of: object) else { return (nil, object, keys) }
    object["model_type"] = .string(family.modelType)
    for (name, other) in family.names {
      object[other] = object.removeValue(forKey: name)
      keys[other] = keys.removeValue(forKey: name)
    }
    object.merge(family.defaults) { declared, _ in declared }
    return (family, object, keys)
  }

  static func configuration(of checkpoint: Checkpoint) -> ModelConfiguration {
    let (_, object, keys) = settings(of: checkpoint)
    return ModelConfiguration(.object(object), file: checkpoint.configurationPath, keys: keys)
  }
}
