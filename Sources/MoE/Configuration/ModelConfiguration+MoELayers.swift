// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

extension ModelConfiguration {
  /// Whether a layer is declared to have experts, by any of the ways families say so; nil where nothing is said.
  ///
  /// Which layers *are* MoE is decided by their tensors. This is what they are held against, so that a layer that was
  /// lost whole is missed.
  func declaresMoE(layer: Int) throws(MoEError) -> Bool? {
    if let listed = try listedMoE(layer: layer) { return listed }
    var rules: [Bool] = []
    if let dense = try integer("first_k_dense_replace", "num_dense_layers") { rules.append(layer >= dense) }
    if let frequency = try integer("moe_layer_freq", layer: layer) {
      // A list has a flag for each layer, a number is a period.
      rules.append(value(["moe_layer_freq"])?.value.array == nil ? layer.isMultiple(of: frequency) : frequency != 0)
    }
    if let period = try integer("moe_layer_frequency", "moe_layer_interval", "decoder_sparse_step") {
      rules.append((layer + 1).isMultiple(of: period))
    }
    if let start = try integer("moe_layer_start_index") { rules.append(layer >= start) }
    if let end = try integer("moe_layer_end_index"), end >= 0 { rules.append(layer <= end) }
    if let period = try integer("expert_layer_period") {
      rules.append((layer - (try integer("expert_layer_offset") ?? 0)).isMultiple(of: period))
    }
    if let dense = integers("mlp_only_layers") { rules.append(!dense.contains(layer)) }
    return rules.isEmpty ? nil : rules.allSatisfy(\.self)
  }

  /// A list with the kind of each layer, or of the layers that are MoE.
  private func listedMoE(layer: Int) throws(MoEError) -> Bool? {
    for key in ["mlp_layer_types", "layers_block_type"] {
      if let kinds = try strings(key), kinds.indices.contains(layer) {
        return ["sparse", "moe", "hash_moe"].contains(kinds[layer])
      }
    }
    if let pattern = try string("hybrid_override_pattern"), layer < pattern.utf8.count {
      return Array(pattern.utf8)[layer] == UInt8(ascii: "E")
    }
    if let layers = try string("moe_layers_enum") {
      return layers.split(separator: ",").contains { Int($0) == layer }
    }
    if let layers = integers("moe_layers") { return layers.contains(layer) }
    return try integer("interleave_moe_layer_step").map { (layer + 1).isMultiple(of: $0) }
  }

  /// A list of integers; nil where there is none.
  private func integers(_ key: String) -> [Int]? { value([key])?.value.array?.compactMap(\.integer) }
}
