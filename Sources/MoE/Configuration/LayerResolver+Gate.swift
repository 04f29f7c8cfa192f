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
    let weight = tensor(architecture.gateWeight, "gate", shapes: [[idCount, hiddenSize]])
    let bias =
      architecture.gateBias.isEmpty || !(isKnown || exists(architecture.gateBias))
      ? nil : tensor(architecture.gateBias, "gate bias", shapes: [[idCount]])
    let correction =
      plan.correctionBias == .none
      ? nil : tensor(architecture.correctionBias, "correction bias", shapes: [[idCount], [1, idCount]])
    let table = hashTable(plan, topK: context.topK)
    let scale = architecture.perExpertScale.flatMap { tensor([$0], "per-expert scale", shapes: [[idCount]]) }
    let inputScale = norm(architecture.gateInputScale, "scale of the gate's input", width: hiddenSize)
    reportUnusedGateBias()
    return weight.map {
      MoEModel.GateSource(
        weight: $0, bias: bias, correctionBias: correction, hashTable: table, inputScale: inputScale,
        perExpertScale: scale)
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
