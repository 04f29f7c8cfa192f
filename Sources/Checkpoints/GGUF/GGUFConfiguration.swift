// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// The settings of a model from the metadata of a GGUF file, under the names that they have in a `config.json`.
///
/// The names of metadata are those of llama.cpp (`gguf-py/gguf/constants.py`), each after `general.architecture` and a
/// dot. What they mean for an architecture, and what holds where a key is absent, is not decided here.
struct GGUFConfiguration {
  /// An object; `model_type` is the architecture, e.g. `qwen3moe`.
  let value: JSONValue
  /// The key in the metadata of each key in `value`.
  let keys: [String: String]
  /// What the file says of experts, and nothing here reads.
  let warnings: [String]

  private struct Entry {
    var key: String
    var name: String
    /// The value in a `config.json`; null where the one in the file says nothing.
    var convert: @Sendable (JSONValue) -> JSONValue

    init(_ key: String, _ name: String, _ convert: @escaping @Sendable (JSONValue) -> JSONValue = { $0 }) {
      (self.key, self.name, self.convert) = (key, name, convert)
    }
  }

  private static let table: [Entry] = [
    Entry("embedding_length", "hidden_size"),
    Entry("block_count", "num_hidden_layers"),
    Entry("feed_forward_length", "intermediate_size"),
    Entry("vocab_size", "vocab_size"),
    Entry("hidden_activation", "hidden_act"),
    Entry("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    Entry("residual_scale", "residual_multiplier"),
    Entry("expert_count", "num_experts"),
    Entry("expert_used_count", "num_experts_per_tok"),
    Entry("expert_feed_forward_length", "moe_intermediate_size"),
    Entry("expert_shared_count", "n_shared_experts"),
    Entry("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
    Entry("leading_dense_block_count", "first_k_dense_replace"),
    Entry("interleave_moe_layer_step", "moe_layer_interval"),
    Entry("moe_latent_size", "moe_latent_size"),
    Entry("hash_layer_count", "num_hash_layers"),
    Entry("expert_gating_func", "scoring_func", scoring),
    Entry("expert_weights_norm", "norm_topk_prob"),
    // ggml multiplies by nothing where the scale is 0.
    Entry("expert_weights_scale", "routed_scaling_factor") { $0.number == 0 ? .null : $0 },
    Entry("expert_group_count", "n_group"),
    Entry("expert_group_used_count", "topk_group"),
    Entry("router_logit_softcapping", "router_logit_softcapping"),
    Entry("swiglu_clamp_exp", "swiglu_limits"),
    Entry("swiglu_clamp_shexp", "swiglu_limits_shared"),
  ]

  /// What the names of keys begin with that say how experts compute.
  private static let marks = ["expert", "moe_", "router_", "swiglu_"]

  /// The functions by their numbers in llama.cpp. One that it doesn't know stays a number, and whoever reads it refuses.
  private static let scorings = [1: "softmax", 2: "sigmoid", 3: "selectedSoftmax", 4: "sqrtsoftplus"]

  private static let scoring: @Sendable (JSONValue) -> JSONValue = { value in
    // 0 is none: what the architecture is known to have.
    value.integer == 0 ? .null : value.integer.flatMap { scorings[$0] }.map(JSONValue.string) ?? value
  }

  /// - Throws: `.metadata` for a file without an architecture, which nothing can be understood without.
  init(_ metadata: [String: JSONValue], file: String) throws(CheckpointError) {
    guard let architecture = metadata["general.architecture"]?.string, !architecture.isEmpty else {
      throw CheckpointError(
        Fault(
          .metadata, "the file does not say its architecture", file: file, subject: "general.architecture",
          expected: "a name such as qwen3moe", found: metadata["general.architecture"]?.serialized() ?? "nothing",
          remedy: "convert it again with llama.cpp's convert_hf_to_gguf.py"))
    }
    var object: [String: JSONValue] = ["model_type": .string(architecture)]
    var keys = ["model_type": "general.architecture"]
    for entry in Self.table {
      let key = "\(architecture).\(entry.key)"
      keys[entry.name] = key
      if let value = metadata[key].map(entry.convert), !value.isNull { object[entry.name] = value }
    }
    // Draft layers stand after the others, and are counted with them.
    if let blocks = object["num_hidden_layers"]?.integer,
      let drafts = metadata["\(architecture).nextn_predict_layers"]?.integer, drafts > 0, drafts < blocks
    {
      object["num_hidden_layers"] = .integer(blocks - drafts)
    }
    value = .object(object)
    self.keys = keys
    let known = Set(keys.values)
    warnings = metadata.keys.sorted().filter { key in
      !known.contains(key) && Self.marks.contains { key.hasPrefix("\(architecture).\($0)") }
    }.map { "\(file): \($0) is not understood, and ignored" }
  }
}
