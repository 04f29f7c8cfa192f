// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

/// The rules that many families share, read from the configuration by all their spellings.
extension LayerContext {
  /// `hidden_act` by its spellings; silu when absent.
  func activation() throws(MoEError) -> Activation {
    let name = try configuration.string(
      "hidden_act", "hidden_activation", "mlp_hidden_act", "ffn_config.ffn_act_fn.name")
    do {
      return try Activation(named: name ?? "silu")
    } catch {
      throw MoEError(
        error.faults.map { fault in
          var fault = fault
          fault.file = configuration.file
          return fault
        })
    }
  }

  /// S: given as a width, or as a number of experts of the routed width.
  func sharedIntermediateSize(defaultCount: Int = 0) throws(MoEError) -> Int? {
    if let width = try configuration.size(
      "shared_expert_intermediate_size", "share_expert_dim", "shared_intermediate_size", layer: layer)
    {
      return width
    }
    let count =
      try configuration.size(
        "n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert", layer: layer)
      ?? defaultCount
    let width = try configuration.size("moe_shared_expert_intermediate_size", layer: layer) ?? intermediateSize
    guard count * width <= ModelConfiguration.largestSize else {
      throw MoEError(
        .configuration, "the width of the shared experts is out of range", file: configuration.file,
        expected: "at most \(ModelConfiguration.largestSize)", found: "\(count) · \(width)")
    }
    return count * width
  }

  /// Divide the weights by their sum, if the configuration says so.
  func renormalization(default flag: Bool, epsilon: Float = 0) throws(MoEError) -> Normalization {
    try configuration.boolean("norm_topk_prob", "moe_renormalize", "route_norm", "norm_expert_weight") ?? flag
      ? .sum(epsilon: epsilon) : .none
  }

  func routedScale() throws(MoEError) -> Float {
    try configuration.number(
      "routed_scaling_factor", "router_scaling_factor", "route_scale", "moe_router_scaling_factor",
      "moe_routed_scaling_factor") ?? 1
  }

  func groups(score: ExpertGroups.Score, maskValue: Float = -.infinity) throws(MoEError) -> ExpertGroups? {
    let count = try configuration.size("n_group", "num_expert_group") ?? 1
    let kept = try configuration.size("topk_group") ?? count
    return count == 1 && kept == 1 ? nil : ExpertGroups(count: count, kept: kept, score: score, maskValue: maskValue)
  }

  func scoring(default scoring: Scoring) throws(MoEError) -> Scoring {
    guard
      let name = try configuration.string("scoring_func", "score_function", "score_func", "moe_router_activation")
    else { return scoring }
    guard let value = Scoring(rawValue: name), value != .selectedSoftmax else {
      throw MoEError(
        .configuration, "unknown scoring function", file: configuration.file, subject: name,
        expected: "softmax, sigmoid or sqrtsoftplus")
    }
    return value
  }

  /// DeepSeek-V3: sigmoid, correction bias, groups scored by their two best, renormalised, scaled.
  func deepSeekV3(
    correctionBias: RouterPlan.CorrectionBias = .required, epsilon: Float = 1e-20
  ) throws(MoEError) -> RouterPlan {
    RouterPlan(
      .topK(
        TopKRecipe(
          scoring: try scoring(default: .sigmoid), groups: try groups(score: .topTwoSum),
          normalization: try renormalization(default: true, epsilon: epsilon), scale: try routedScale())),
      correctionBias: correctionBias)
  }

  /// Sigmoid scores, the sum of the weights 1.
  func sigmoid(
    correctionBias: RouterPlan.CorrectionBias, normalization: Normalization = .sum(epsilon: 0), scale: Float = 1,
    softCap: Float? = nil
  ) throws(MoEError) -> RouterPlan {
    RouterPlan(
      .topK(
        TopKRecipe(
          scoring: try scoring(default: .sigmoid), softCap: softCap, normalization: normalization, scale: scale)),
      correctionBias: correctionBias)
  }

  /// Softmax, renormalised if the configuration says so.
  func softmax(renormalizedByDefault flag: Bool) throws(MoEError) -> RouterPlan {
    .softmax(try renormalization(default: flag))
  }

  /// The gpt-oss activation with the configuration's slope and limit.
  func swigluOAI() throws(MoEError) -> Activation {
    .swigluOAI(
      alpha: try configuration.number("swiglu_alpha") ?? 1.702, limit: try configuration.number("swiglu_limit") ?? 7)
  }

  /// Whether a layer of DeepSeek-V4 routes by token id: by either spelling of the configuration, or by its tensors.
  func isHashLayer() throws(MoEError) -> Bool {
    if let kinds = try configuration.strings("mlp_layer_types"), kinds.indices.contains(layer) {
      return kinds[layer] == "hash_moe"
    }
    if let count = try configuration.size("num_hash_layers") { return layer < count }
    return hasTensor("{b}.gate.tid2eid")
  }

  /// A limit that is absent, null, 0 or less is none.
  func limit(_ key: String) throws(MoEError) -> Float? {
    try configuration.number(key, layer: layer).flatMap { $0 > 0 ? $0 : nil }
  }
}
