// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension SyntheticLayer {
  /// What the layer has in GGUF: experts stacked `[experts, out, in]`, gates and biases in f32.
  ///
  /// - Throws: `.shapeMismatch` for rows that are no whole number of blocks.
  func units(_ type: GGMLType) throws(MoEError) -> [SyntheticUnit] {
    var units: [SyntheticUnit] = []
    func add(_ name: String, _ shape: Shape, _ deviation: Float, _ blockType: GGMLType = .f32) throws(MoEError) {
      let name = "blk.\(context.layer).\(name)"
      let columns = shape.dimensions.last!
      guard columns % blockType.blockElements == 0 else {
        throw MoEError(
          .shapeMismatch, "a row is no whole number of \(blockType) blocks", subject: name,
          expected: "a multiple of \(blockType.blockElements)", found: "\(columns)",
          remedy: columns % 32 == 0 ? "q8_0, q4_0 and iq4_nl have blocks of 32" : nil)
      }
      units.append(
        SyntheticUnit(
          SyntheticModel.Tensor(
            name: name, elementType: .f32, blockType: blockType, shape: shape, deviation: deviation)))
    }
    func addExperts(_ specification: LayerSpecification, _ suffix: String, isStacked: Bool) throws(MoEError) {
      for projection in specification.projections {
        let (rows, columns) = specification.size(of: projection)
        let experts = isStacked ? [specification.expertCount] : []
        let stem = "ffn_\(projection.rawValue)_\(suffix)"
        try add("\(stem).weight", Shape(experts + [rows, columns]), 1.2 / Float(columns).squareRoot(), type)
        if specification.hasBias { try add("\(stem).bias", Shape(experts + [rows]), 0.1) }
      }
    }
    try addExperts(try routedExperts(), "exps", isStacked: true)
    try add("ffn_gate_inp.weight", [idCount, hiddenSize], 1.5 / Float(hiddenSize).squareRoot())
    if !architecture.gateBias.isEmpty { try add("ffn_gate_inp.bias", [idCount], 0.1) }
    if plan.correctionBias == .required { try add("exp_probs_b.bias", [idCount], 0.1) }
    if let shared = try sharedExperts() {
      try addExperts(shared, "shexp", isStacked: false)
      if architecture.sharedGate != nil {
        try add("ffn_gate_inp_shexp.weight", [hiddenSize], 1.2 / Float(hiddenSize).squareRoot())
      }
    }
    return units
  }

  /// The metadata of the model, in llama.cpp's keys.
  ///
  /// - Throws: `.unsupported` for a family that has no name in GGUF.
  func metadata(layers: Range<Int>) throws(MoEError) -> [String: GGUFValue] {
    guard let name = architecture.modelTypes.lazy.compactMap({ Self.namesInGGUF[$0] }).first else {
      throw MoEError(
        .unsupported, "\(architecture.name) has no name in GGUF", expected: "one of the families that llama.cpp reads",
        remedy: "write safetensors")
    }
    let configuration = context.configuration
    var numbers: [String: Int] = [
      "block_count": layers.upperBound, "embedding_length": hiddenSize,
      "feed_forward_length": try configuration.size("intermediate_size") ?? context.intermediateSize,
      "expert_count": context.expertCount, "expert_used_count": context.topK,
      "expert_feed_forward_length": context.intermediateSize,
    ]
    if layers.lowerBound > 0 { numbers["leading_dense_block_count"] = layers.lowerBound }
    if let shared = try sharedExperts() {
      numbers["expert_shared_feed_forward_length"] = shared.intermediateSize
      numbers["expert_shared_count"] = try configuration.size("n_shared_experts", "num_shared_experts") ?? 1
    }
    var metadata: [String: GGUFValue] = ["general.architecture": .string(name), "general.type": .string("model")]
    metadata["general.name"] = .string("synthetic \(architecture.name)")
    if case .topK(let recipe) = plan.kind {
      numbers["expert_gating_func"] = [.softmax: 1, .sigmoid: 2, .selectedSoftmax: 3, .sqrtSoftplus: 4][recipe.scoring]
      if let groups = recipe.groups {
        numbers["expert_group_count"] = groups.count
        numbers["expert_group_used_count"] = groups.kept
      }
      metadata["\(name).expert_weights_norm"] = .bool(recipe.normalization != .none)
      metadata["\(name).expert_weights_scale"] = .float32(recipe.scale)
    }
    for (key, value) in numbers { metadata["\(name).\(key)"] = .uint32(UInt32(value)) }
    return metadata
  }

  /// What llama.cpp calls a family, by `model_type`.
  private static let namesInGGUF = [
    "mixtral": "llama", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe", "qwen3_next": "qwen3next",
    "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "kimi_k2": "deepseek2", "glm4_moe": "glm4moe",
    "dots1": "dots1", "gpt_oss": "gpt-oss", "llama4_text": "llama4", "phimoe": "phimoe", "dbrx": "dbrx",
    "granitemoe": "granitemoe", "olmoe": "olmoe", "ernie4_5_moe": "ernie4_5-moe", "hunyuan_v1_moe": "hunyuan-moe",
    "bailing_moe": "bailingmoe", "minimax_m2": "minimax-m2", "lfm2_moe": "lfm2moe", "afmoe": "afmoe",
  ]
}
