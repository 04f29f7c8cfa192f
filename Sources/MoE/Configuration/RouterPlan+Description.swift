// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension RouterPlan: CustomStringConvertible {
  /// For example `sigmoid + correction bias, 4 of 8 groups, normalised, × 2.5`.
  public var description: String {
    var parts: [String]
    switch kind {
    case .topK(let recipe): parts = recipe.parts(hasCorrectionBias: correctionBias == .required)
    case .hash(let scoring, let normalization, let scale):
      parts = ["by token id, weights \(scoring.rawValue)", normalization.phrase, Self.phrase(scale: scale)].compactMap(
        \.self)
    case .sparseMixer(let jitter): parts = ["sparse mixer, jitter \(jitter)"]
    }
    if zeroExpertCount > 0 { parts.append("\(zeroExpertCount) zero experts") }
    if postScale != 1 { parts.append("sum × \(postScale)") }
    if weightOnInput { parts.append("weight on the input") }
    return parts.joined(separator: ", ")
  }

  fileprivate static func phrase(scale: Float) -> String? { scale == 1 ? nil : "× \(scale)" }
}

extension TopKRecipe {
  fileprivate func parts(hasCorrectionBias: Bool) -> [String] {
    var score = scoring == .selectedSoftmax ? "softmax over the chosen" : scoring.rawValue
    if hasCorrectionBias { score += " + correction bias" }
    return [
      softCap.map { "logits capped at \($0)" }, score, groups.map { "\($0.kept) of \($0.count) groups" },
      normalization.phrase, RouterPlan.phrase(scale: scale),
    ].compactMap(\.self)
  }
}

extension Normalization {
  fileprivate var phrase: String? {
    switch self {
    case .none: nil
    case .sum, .clampedSum: "normalised"
    case .pNorm(let p): "normalised in the \(p)-norm"
    }
  }
}
