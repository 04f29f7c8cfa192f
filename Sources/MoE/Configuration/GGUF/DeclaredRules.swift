// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

// The metadata of a GGUF file say how its layers route. A family's rule doesn't read what all models of the family have
// in common; where a file declares something else, it is no model of the family.

extension LayerContext {
  /// `expert_gating_func`
  func declaredScoring() throws(MoEError) -> Scoring? {
    guard let (key, value) = configuration.value(["scoring_func"]) else { return nil }
    guard let scoring = value.string.flatMap({ Scoring(rawValue: $0) }) else {
      throw MoEError(
        .configuration, "unknown scoring function", file: configuration.file, subject: configuration.shown(key),
        expected: "1 (softmax), 2 (sigmoid), 3 (softmax over the chosen) or 4 (sqrtsoftplus)",
        found: value.serialized())
    }
    return scoring
  }

  fileprivate func contradiction(_ key: String, expected: String, found: String) -> Fault {
    Fault(
      .configuration, "the metadata declare something else than what this architecture does",
      file: configuration.file, subject: configuration.shown(key), expected: expected, found: found)
  }
}

extension RouterPlan {
  /// Scoring function, normalisation and scale of the weights; nil where they are not of the common kind.
  private var weights: (scoring: Scoring, normalization: Normalization, scale: Float)? {
    switch kind {
    case .topK(let recipe): (recipe.scoring, recipe.normalization, recipe.scale * postScale)
    case .hash(let scoring, let normalization, let scale): (scoring, normalization, scale * postScale)
    case .sparseMixer: nil
    }
  }

  /// Compares the plan with what the metadata declare.
  ///
  /// - Throws: `.configuration` with all that differs.
  func checkDeclared(_ context: LayerContext) throws(MoEError) {
    let declared = try context.declaredScoring()
    guard let (scoring, normalization, scale) = weights else { return }
    var faults: [Fault] = []
    let isNormalized = normalization != .none || scoring == .selectedSoftmax
    // A softmax over all whose chosen weights are divided by their sum is one over the chosen.
    let isSame =
      declared == nil || declared == scoring
      || isNormalized && Set([declared, scoring]) == [.softmax, .selectedSoftmax]
    if let declared, !isSame {
      faults.append(context.contradiction("scoring_func", expected: scoring.rawValue, found: declared.rawValue))
    }
    // A softmax over the chosen sums to 1 whatever the flag says.
    if let flag = try context.configuration.boolean("norm_topk_prob"), flag != isNormalized, context.topK > 1,
      (declared ?? scoring) != .selectedSoftmax
    {
      faults.append(context.contradiction("norm_topk_prob", expected: "\(isNormalized)", found: "\(flag)"))
    }
    if let factor = try context.configuration.number("routed_scaling_factor"), factor != scale {
      faults.append(context.contradiction("routed_scaling_factor", expected: "\(scale)", found: "\(factor)"))
    }
    if !faults.isEmpty { throw MoEError(faults) }
  }
}

extension Activation {
  /// Refuses limits that the metadata declare and the family knows nothing of.
  func checkDeclared(_ context: LayerContext) throws(MoEError) {
    guard limit == nil, limitAfter == nil, let declared = try context.limit("swiglu_limits") else { return }
    throw MoEError([context.contradiction("swiglu_limits", expected: "none, or 0", found: "\(declared)")])
  }
}
