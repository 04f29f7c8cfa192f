// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension Architecture {
  /// The family's rules over the names and arrangements of GGUF, which are those of llama.cpp for all families: one
  /// tensor for all experts, *out* before *in*, gate and up apart and not interleaved.
  func inGGUF() -> Architecture {
    let base = self
    let isGated = layouts.contains { $0.gate != nil }
    var result = self
    result.stack = "blk."
    result.blocks = ["ffn"]
    result.layouts = isGated ? .gguf : [.stacked(gate: nil, up: "ffn_up_exps", down: "ffn_down_exps")]
    result.gateWeight = ["ffn_gate_inp.weight"]
    result.gateBias = gateBias.isEmpty ? [] : ["ffn_gate_inp.bias"]
    result.correctionBias = Self.correctionBiasOfGGUF
    result.gateInputScale = gateInputScale.map { _ in "ffn_gate_inp.scale" }
    result.perExpertScale = perExpertScale.map { _ in "ffn_down_exps.scale" }
    result.hashTable = hashTable.map { _ in "ffn_gate_tid2eid.weight" }
    result.imageBias = nil
    result.sharedLayouts = [
      .single(gate: isGated ? "ffn_gate_shexp" : nil, up: "ffn_up_shexp", down: "ffn_down_shexp")
    ]
    result.sharedGate = sharedGate.map { _ in "ffn_gate_inp_shexp.weight" }
    result.latent = latent.map { _ in (down: "ffn_latent_down.weight", up: "ffn_latent_up.weight") }
    result.routing = { context throws(MoEError) in
      let plan = try base.routing(context)
      try plan.checkDeclared(context)
      return plan
    }
    result.activation = { context throws(MoEError) in
      let activation = try base.activation(context)
      try activation.checkDeclared(context)
      return activation
    }
    return result
  }

  /// That llama.cpp has no name for the family.
  var unnamedInGGUF: MoEError {
    MoEError(
      .unsupported, "\(name) has no name in GGUF", expected: "one of the families that llama.cpp reads",
      remedy: "write safetensors")
  }

  fileprivate static let correctionBiasOfGGUF = ["exp_probs_b.bias", "exp_probs_b"]

  /// What is assumed of an architecture that nobody knows: that it routes by what its metadata and tensors show.
  static let unknownInGGUF: Architecture = {
    let rules = Architecture("unknown", types: [], classes: []) {
      $0.gateBias = ["{b}.gate.bias"]
      $0.sharedGate = "{b}.shared_expert_gate.weight"
      $0.routing = { context throws(MoEError) in
        RouterPlan(
          .topK(
            TopKRecipe(
              scoring: try context.declaredScoring() ?? .softmax, groups: try context.groups(score: .topTwoSum),
              normalization: try context.renormalization(default: true), scale: try context.routedScale())),
          correctionBias: correctionBiasOfGGUF.contains(where: context.hasTensor) ? .required : .none)
      }
    }
    return rules.inGGUF()
  }()
}

extension [ExpertLayout] {
  /// All experts in a tensor for each projection; gate and up in one; a tensor for each expert, as before 2024.
  static let gguf: Self = [
    .stacked(gate: "ffn_gate_exps", up: "ffn_up_exps", down: "ffn_down_exps"),
    .fused(
      gateUp: "ffn_gate_up_exps", down: "ffn_down_exps", weightSuffix: ".weight", biasSuffix: ".bias",
      isInputMajor: false),
    ExpertLayout(
      name: "per expert", gate: ProjectionLayout(stem: "ffn_gate.{e}", expertAxis: .none),
      up: ProjectionLayout(stem: "ffn_up.{e}", expertAxis: .none),
      down: ProjectionLayout(stem: "ffn_down.{e}", expertAxis: .none)),
  ]
}
