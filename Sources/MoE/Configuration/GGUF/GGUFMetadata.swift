// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

/// The metadata of a GGUF file from the settings of a model and the rules of its MoE layers.
struct GGUFMetadata {
  /// Under llama.cpp's keys.
  private(set) var values: [String: GGUFValue] = [:]
  private let family: GGUFFamily

  /// - Parameter name: what the file says the model is called.
  init(_ family: GGUFFamily, _ configuration: ModelConfiguration, name: String) {
    self.family = family
    for setting in GGUFSetting.all {
      let name = family.names[setting.name] ?? setting.name
      // transformers 5 has what rotates in an object of its own.
      guard let (_, value) = configuration.value([name, "rope_parameters.\(name)"]) else { continue }
      values["\(family.architecture).\(setting.key)"] = setting.encode(value)
    }
    values["general.architecture"] = .string(family.architecture)
    values["general.type"] = .string("model")
    values["general.name"] = .string(name)
  }

  private mutating func set(_ key: String, _ value: Int) {
    values["\(family.architecture).\(key)"] = .uint32(UInt32(value))
  }

  /// Adds the sizes of the MoE layers.
  ///
  /// - Parameter shared: how many shared experts there are, and their width together.
  mutating func describe(
    experts: Int, topK: Int, hidden: Int, intermediate: Int, shared: (count: Int, intermediate: Int)?,
    layers: Range<Int>
  ) {
    set("block_count", layers.upperBound)
    set("embedding_length", hidden)
    if values["\(family.architecture).feed_forward_length"] == nil { set("feed_forward_length", intermediate) }
    set("expert_count", experts)
    set("expert_used_count", topK)
    set("expert_feed_forward_length", intermediate)
    if layers.lowerBound > 0 { set("leading_dense_block_count", layers.lowerBound) }
    if let shared {
      set("expert_shared_count", shared.count)
      set("expert_shared_feed_forward_length", shared.intermediate)
    }
  }

  /// Adds how many of the first layers route by token id.
  mutating func describe(hashLayers count: Int) {
    if count > 0 { set("hash_layer_count", count) }
  }

  /// Adds how they route.
  mutating func describe(_ plan: RouterPlan) {
    guard case .topK(let recipe) = plan.kind else { return }
    set(
      "expert_gating_func",
      [.softmax: 1, .sigmoid: 2, .selectedSoftmax: 3, .sqrtSoftplus: 4][recipe.scoring]!)
    if let groups = recipe.groups {
      set("expert_group_count", groups.count)
      set("expert_group_used_count", groups.kept)
    }
    values["\(family.architecture).expert_weights_norm"] = .bool(recipe.normalization != .none)
    values["\(family.architecture).expert_weights_scale"] = .float32(recipe.scale * plan.postScale)
  }
}

extension RouterPlan {
  /// Whether experts are chosen by token id.
  var isByToken: Bool { if case .hash = kind { true } else { false } }
}
