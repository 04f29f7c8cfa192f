// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// How logits become scores.
public enum Scoring: String, Sendable, Hashable, CaseIterable {
  /// exp(x) / Σ exp(x) over all experts.
  case softmax
  /// 1 / (1 + exp(−x)).
  case sigmoid
  /// √ln(1 + exp(x)) (DeepSeek-V4).
  case sqrtSoftplus = "sqrtsoftplus"
  /// Softmax over the *selected* logits only; ranking is by logit.
  case selectedSoftmax

  /// The scores of one row. Logits that are not finite may give scores that are not: see ``finiteOrZero(_:)``.
  func scores(of logits: ArraySlice<Float>) -> [Float] {
    switch self {
    case .softmax: softmaxScores(logits)
    case .sigmoid: logits.map { 1 / (1 + exp(-$0)) }
    case .sqrtSoftplus: logits.map { ($0 > 20 ? $0 : log1p(exp($0))).squareRoot() }
    case .selectedSoftmax: Array(logits)
    }
  }
}

/// What the selected scores are divided by. A divisor of 0 becomes 1.
public enum Normalization: Sendable, Hashable {
  case none
  /// w / (Σw + epsilon).
  case sum(epsilon: Float)
  /// w / max(Σw, minimum) (Ernie-4.5).
  case clampedSum(minimum: Float)
  /// w / ‖w‖ₚ (DBRX).
  case pNorm(Float)

  func apply(to weights: inout [Float]) {
    let divisor: Float
    switch self {
    case .none: return
    case .sum(let epsilon):
      divisor = weights.reduce(0, +) + epsilon
    case .clampedSum(let minimum): divisor = max(weights.reduce(0, +), minimum)
    case .pNorm(let p):
      divisor = p == 1 ? weights.reduce(0) { $0 + abs($1) } : pow(weights.reduce(0) { $0 + pow(abs($1), p) }, 1 / p)
    }
    guard divisor > 0 else { return }
    for index in weights.indices { weights[index] /= divisor }
  }

  /// Whether the number in it has a meaning.
  var isValid: Bool {
    switch self {
    case .none: true
    case .sum(let bound), .clampedSum(let bound): bound >= 0 && bound.isFinite
    case .pNorm(let p): p > 0 && p.isFinite
    }
  }
}

/// Softmax in 32 bits with the maximum subtracted.
func softmaxScores(_ logits: some Collection<Float>) -> [Float] {
  let maximum = logits.max() ?? 0
  let exponentials = logits.map { exp($0 - maximum) }
  let sum = exponentials.reduce(0, +)
  return exponentials.map { $0 / sum }
}

/// What a weight becomes that a logit of NaN or infinity spoilt.
func finiteOrZero(_ value: Float) -> Float { value.isFinite ? value : 0 }

/// The ids of the `count` largest values, ties and exhausted rows to the lowest id; NaN ranks below everything.
func topIndices(_ values: [Float], count: Int) -> [Int] {
  var taken = [Bool](repeating: false, count: values.count)
  return (0..<count).map { _ in
    var best = -1
    for index in values.indices where !taken[index] {
      if best < 0 || values[index] > values[best] || (values[best].isNaN && !values[index].isNaN) { best = index }
    }
    taken[best] = true
    return best
  }
}
