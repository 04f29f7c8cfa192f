// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE

/// An activation and its formula, written out once more.
struct ActivationCase: Sendable, CustomStringConvertible {
  let name: String
  let activation: Activation
  let formula: @Sendable (_ g: Double, _ u: Double) -> Double

  var description: String { name }

  init(_ name: String, _ activation: Activation, _ formula: @escaping @Sendable (Double, Double) -> Double) {
    self.name = name
    self.activation = activation
    self.formula = formula
  }

  static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
  static func gelu(_ x: Double) -> Double { 0.5 * x * (1 + erf(x / 2.0.squareRoot())) }
  static func geluTanh(_ x: Double) -> Double {
    0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
  }
  static func clamp(_ x: Double, _ limit: Double) -> Double { max(-limit, min(limit, x)) }

  /// Every function with every parameter that models give it. Limits are low, so that they bite.
  static let all: [ActivationCase] = [
    ActivationCase("silu", .silu) { g, u in g * sigmoid(g) * u },
    ActivationCase("silu, limit", Activation(.silu, limit: 0.7)) { g, u in
      let g = min(g, Double(Float(0.7)))
      return g * sigmoid(g) * clamp(u, Double(Float(0.7)))
    },
    ActivationCase("silu, alpha and beta", Activation(.silu, alpha: 1.5, beta: 0.25)) { g, u in
      g * sigmoid(1.5 * g) * (u + 0.25)
    },
    ActivationCase("swigluoai", .swigluOAI(alpha: 1.75, limit: 0.75)) { g, u in
      let g = min(g, 0.75)
      return (clamp(u, 0.75) + 1) * g * sigmoid(1.75 * g)
    },
    ActivationCase("swiglustep", .swigluStep(limit: 0.5)) { g, u in min(g * sigmoid(g), 0.5) * clamp(u, 0.5) },
    ActivationCase("gelu", Activation(.gelu)) { g, u in gelu(g) * u },
    ActivationCase("gelu, limit", Activation(.gelu, limit: 0.5)) { g, u in gelu(min(g, 0.5)) * clamp(u, 0.5) },
    ActivationCase("gelu_tanh", Activation(.geluTanh)) { g, u in geluTanh(g) * u },
    ActivationCase("gelu_tanh, both limits", Activation(.geluTanh, limit: 1, limitAfter: 0.5)) { g, u in
      min(geluTanh(min(g, 1)), 0.5) * clamp(clamp(u, 1), 0.5)
    },
    ActivationCase("relu2", Activation(.relu2)) { g, u in max(g, 0) * max(g, 0) * u },
    ActivationCase("situ", Activation(.situ(beta: 1.5, upBeta: 0))) { g, u in 1.5 * tanh(g / 1.5) * sigmoid(g) * u },
    ActivationCase("situ, up", Activation(.situ(beta: 2, upBeta: 0.75))) { g, u in
      2 * tanh(g / 2) * sigmoid(g) * 0.75 * tanh(u / 0.75)
    },
    ActivationCase("situ, limits", Activation(.situ(beta: 2, upBeta: 4), limit: 1.5, limitAfter: 0.5)) { g, u in
      let g = min(g, 1.5)
      return min(2 * tanh(g / 2) * sigmoid(g), 0.5) * clamp(4 * tanh(clamp(u, 1.5) / 4), 0.5)
    },
    ActivationCase("silu, no gate", Activation(.silu, isGated: false)) { _, u in u * sigmoid(u) },
    ActivationCase("gelu, no gate", Activation(.gelu, isGated: false)) { _, u in gelu(u) },
    ActivationCase("gelu_tanh, no gate", Activation(.geluTanh, isGated: false)) { _, u in geluTanh(u) },
    ActivationCase("relu2, no gate", Activation(.relu2, isGated: false)) { _, u in max(u, 0) * max(u, 0) },
    ActivationCase("relu2, no gate, limits", Activation(.relu2, isGated: false, limit: 1, limitAfter: 0.75)) { _, u in
      min(max(min(u, 1), 0) * max(min(u, 1), 0), 0.75)
    },
  ]
}
