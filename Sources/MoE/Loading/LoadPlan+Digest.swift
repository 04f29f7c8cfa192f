// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension LoadPlan {
  /// What must be the same on all ranks that share the layer, by name: the tensors and sizes it is made of, the placement
  /// and the layout.
  package var identity: [(name: String, value: String)] {
    var plan = ContentDigest()
    let whole = source.specification
    plan.add(
      Array(
        """
        \(whole.expertCount) \(whole.hiddenSize) \(whole.intermediateSize) \(whole.activation) \(whole.hasBias) \
        \(whole.weightOnInput) \(whole.residentName) \(whole.activations)
        """.utf8))
    for piece in source.experts.joined().flatMap(\.pieces) {
      plan.add(Array("\(piece.tensor.name) \(piece.tensor.elementType) \(piece.tensor.shape)".utf8))
    }
    return [
      ("plan", String(plan.value, radix: 16)), ("placement", placement.digest), ("layout", layout.identity),
    ]
  }
}

extension ExpertPlacement {
  /// Equal for equal placements.
  package var digest: String {
    var digest = ContentDigest()
    digest.add(Array("\(expertCount) on \(rankCount): \(logical.map(\.rawValue))".utf8))
    return String(digest.value, radix: 16)
  }
}
