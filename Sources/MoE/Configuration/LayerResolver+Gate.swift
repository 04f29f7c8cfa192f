// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension LayerResolver {
  /// The tensors of the gate and of the router behind it.
  mutating func gate(
    _ plan: RouterPlan, _ context: LayerContext, hiddenSize: Int
  ) -> MoEModel.GateSource? {
    let idCount = context.expertCount + plan.zeroExpertCount
    let isTurned = architecture.hasImageExperts
    let weight = tensor(
      architecture.gateWeight, "gate", shapes: [isTurned ? [hiddenSize, idCount] : [idCount, hiddenSize]])
    let bias =
      architecture.gateBias.isEmpty || !(isKnown || exists(architecture.gateBias))
      ? nil : tensor(architecture.gateBias, "gate bias", shapes: [[idCount]])
    let correction =
      plan.correctionBias == .none
      ? nil
      : tensor(
        architecture.correctionBias, "correction bias", shapes: isTurned ? [[2, idCount]] : [[idCount], [1, idCount]])
    let table = hashTable(plan, topK: context.topK)
    let scale = architecture.perExpertScale.flatMap { tensor([$0], "per-expert scale", shapes: [[idCount]]) }
    let inputScale = norm(architecture.gateInputScale, "scale of the gate's input", width: hiddenSize)
    let images = images(plan, idCount: idCount)
    reportUnusedGateBias()
    return weight.map {
      MoEModel.GateSource(
        weight: $0, isTurned: isTurned, bias: bias, correctionBias: correction, hashTable: table,
        inputScale: inputScale,
        perExpertScale: scale, images: images)
    }
  }

  private mutating func hashTable(_ plan: RouterPlan, topK: Int) -> TensorRecord? {
    guard case .hash = plan.kind, let name = architecture.hashTable,
      let table = tensor([name], "routing table", shapes: nil, isInteger: true)
    else { return nil }
    if table.shape.rank != 2 || table.shape[1] != topK {
      fault(
        .shapeMismatch, "routing table has another shape than the configuration declares", tensor: table,
        expected: "[vocabulary, \(topK)]", found: "\(table.shape)")
    }
    return table
  }

  /// How image tokens choose, where the layer has a bias for them.
  private mutating func images(_ plan: RouterPlan, idCount: Int) -> MoEModel.ImageSource? {
    guard let name = architecture.imageBias, exists([name]) else { return nil }
    guard case .hash = plan.kind else {
      fault(
        .unsupported, "a bias of image tokens where the layer does not route by token id",
        tensor: tensors[inBlock(name)])
      return nil
    }
    let key = "image_sentinel_lo"
    let configuration = self.configuration
    let sentinel = attempt { () throws(MoEError) in try configuration.integer(key) }
    guard let sentinel = sentinel ?? nil, let first = Int32(exactly: sentinel), first >= 0 else {
      fault(
        .configuration, "the layer has a bias of image tokens, and the configuration does not say which those are",
        tensor: tensors[inBlock(name)], expected: "\(key), a token id")
      return nil
    }
    return tensor([name], "bias of image tokens", shapes: [[idCount]]).map {
      MoEModel.ImageSource(bias: $0, sentinel: first)
    }
  }

  /// A linear map with a bias that the family's rules know nothing of would be computed without it.
  private mutating func reportUnusedGateBias() {
    let corrections = architecture.correctionBias.map(inBlock)
    for name in architecture.gateWeight.map(inBlock) where tensors[name] != nil && name.hasSuffix(".weight") {
      let bias = String(name.dropLast(".weight".count)) + ".bias"
      guard let tensor = tensors[bias], !consumed.contains(bias), !corrections.contains(bias) else { continue }
      consumed.insert(bias)
      fault(.unexpectedTensor, "the gate has a bias, and this architecture's gate has none", tensor: tensor)
    }
  }

  mutating func norm(_ name: String?, _ what: String, width: Int) -> MoEModel.NormSource? {
    let configuration = self.configuration
    guard let name else { return nil }
    let scale = tensor([name], what, shapes: [[width]])
    let epsilon = attempt { () throws(MoEError) in
      try configuration.number("rms_norm_eps", "layer_norm_epsilon") ?? 1e-6
    }
    guard let scale, let epsilon else { return nil }
    return MoEModel.NormSource(scale: scale, epsilon: epsilon)
  }

  /// A layer that routes but has nothing to route to.
  mutating func reportGateWithoutExperts() {
    guard isKnown else { return }
    for block in architecture.blocks {
      for name in architecture.gateWeight.map({ $0.inBlock(block) }) {
        guard let gate = tensors[name] else { continue }
        isMoE = true
        fault(
          .missingTensor, "the layer has a gate but no experts", tensor: gate,
          expected: Set(architecture.layouts.map { tensors.prefix + $0.inBlock(block).up.stem }).sorted()
            .joined(separator: " or "))
        return
      }
    }
  }
}
