// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A setting of a model: its key in the metadata of a GGUF file, and its name in a `config.json`.
///
/// The keys are those of llama.cpp (`gguf-py/gguf/constants.py`), each after `general.architecture` and a dot.
package struct GGUFSetting: Sendable {
  package enum Kind: Sendable {
    case count
    case number
    case flag
    case text
    case numbers
    /// A function by its number in llama.cpp.
    case scoring
    /// A factor, of which 0 says nothing: ggml multiplies by nothing then.
    case factor
  }

  package var key: String
  package var name: String
  package var kind: Kind

  init(_ key: String, _ name: String, _ kind: Kind = .count) { (self.key, self.name, self.kind) = (key, name, kind) }

  package static let all = experts + model

  private static let experts = [
    Self("embedding_length", "hidden_size"),
    Self("block_count", "num_hidden_layers"),
    Self("feed_forward_length", "intermediate_size"),
    Self("hidden_activation", "hidden_act", .text),
    Self("attention.layer_norm_rms_epsilon", "rms_norm_eps", .number),
    Self("residual_scale", "residual_multiplier", .number),
    Self("expert_count", "num_experts"),
    Self("expert_used_count", "num_experts_per_tok"),
    Self("expert_feed_forward_length", "moe_intermediate_size"),
    Self("expert_shared_count", "n_shared_experts"),
    Self("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
    Self("leading_dense_block_count", "first_k_dense_replace"),
    Self("interleave_moe_layer_step", "moe_layer_interval"),
    Self("moe_latent_size", "moe_latent_size"),
    Self("hash_layer_count", "num_hash_layers"),
    Self("expert_gating_func", "scoring_func", .scoring),
    Self("expert_weights_norm", "norm_topk_prob", .flag),
    Self("expert_weights_scale", "routed_scaling_factor", .factor),
    Self("expert_group_count", "n_group"),
    Self("expert_group_used_count", "topk_group"),
    Self("router_logit_softcapping", "router_logit_softcapping", .number),
    Self("swiglu_clamp_exp", "swiglu_limits", .numbers),
    Self("swiglu_clamp_shexp", "swiglu_limits_shared", .numbers),
  ]

  /// What nothing here computes by, and other programs need.
  private static let model = [
    Self("vocab_size", "vocab_size"),
    Self("context_length", "max_position_embeddings"),
    Self("attention.head_count", "num_attention_heads"),
    Self("attention.head_count_kv", "num_key_value_heads"),
    Self("attention.key_length", "head_dim"),
    Self("attention.q_lora_rank", "q_lora_rank"),
    Self("attention.kv_lora_rank", "kv_lora_rank"),
    Self("attention.sliding_window", "sliding_window"),
    Self("rope.freq_base", "rope_theta", .number),
  ]

  /// The functions by their numbers. One that llama.cpp doesn't know stays a number, and whoever reads it refuses.
  private static let scorings = [1: "softmax", 2: "sigmoid", 3: "selectedSoftmax", 4: "sqrtsoftplus"]

  /// The value in a `config.json`; null where the one in the file says nothing.
  func decode(_ value: JSONValue) -> JSONValue {
    switch kind {
    // 0 is none: what the architecture is known to have.
    case .scoring:
      value.integer == 0 ? .null : value.integer.flatMap { Self.scorings[$0] }.map(JSONValue.string) ?? value
    case .factor where value.number == 0: .null
    case .factor, .number: Self.shortest(value)
    default: value
    }
  }

  /// A 32-bit number by the fewest digits that tell it apart: 1e-5 instead of 9.999999747378752e-06.
  private static func shortest(_ value: JSONValue) -> JSONValue {
    guard case .number(let number) = value, Double(Float(number)) == number else { return value }
    return Double("\(Float(number))").map { .number($0) } ?? value
  }

  /// The value in a GGUF file; nil where it has none of this kind.
  package func encode(_ value: JSONValue) -> GGUFValue? {
    switch kind {
    case .count: value.integer.flatMap { UInt32(exactly: $0) }.map { .uint32($0) }
    case .number, .factor: value.number.map { .float32(Float($0)) }
    case .flag: if case .bool(let flag) = value { .bool(flag) } else { nil }
    case .text: value.string.map { .string($0) }
    // One for all layers, or one for each.
    case .numbers:
      value.array.map { .float32s($0.map { Float($0.number ?? 0) }) } ?? value.number.map { .float32(Float($0)) }
    case .scoring: Self.scorings.first { $0.value == value.string }.map { .uint32(UInt32($0.key)) }
    }
  }
}
