// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// The scalar functions against their formulas, and the names.
@Suite struct ActivationTests {
  @Test(arguments: ActivationCase.all) func formula(of test: ActivationCase) {
    let values = [-30, -7.5, -2, -0.75, -0.1, 0, 0.1, 0.6, 1, 2, 6.9, 7.1, 30]
    for gate in values {
      for up in values {
        let (found, expected) = (test.activation(gate: gate, up: up), test.formula(gate, up))
        #expect(abs(found - expected) <= 1e-12 * max(1, abs(expected)), "\(test) at \(gate), \(up)")
      }
    }
  }

  static let names: [(String, @Sendable (Double, Double) -> Double)] = [
    ("silu", { $0 * ActivationCase.sigmoid($0) * $1 }), ("swish", { $0 * ActivationCase.sigmoid($0) * $1 }),
    ("swiglu", { $0 * ActivationCase.sigmoid($0) * $1 }), ("gelu", { ActivationCase.gelu($0) * $1 }),
    ("gelu_tanh", { ActivationCase.geluTanh($0) * $1 }), ("gelu_pytorch_tanh", { ActivationCase.geluTanh($0) * $1 }),
    ("gelu_new", { ActivationCase.geluTanh($0) * $1 }), ("relu2", { max($0, 0) * max($0, 0) * $1 }),
    ("swigluoai", openAI), ("swigluoai_uninterleave", openAI),
    ("swiglustep", { min($0 * ActivationCase.sigmoid($0), 7) * ActivationCase.clamp($1, 7) }),
    ("silu_no_mul", { _, u in u * ActivationCase.sigmoid(u) }), ("gelu_no_mul", { _, u in ActivationCase.gelu(u) }),
    ("gelu_tanh_no_mul", { _, u in ActivationCase.geluTanh(u) }), ("relu2_no_mul", { _, u in max(u, 0) * max(u, 0) }),
  ]

  @Sendable private static func openAI(_ g: Double, _ u: Double) -> Double {
    let g = min(g, 7)
    return (ActivationCase.clamp(u, 7) + 1) * g * ActivationCase.sigmoid(Double(Float(1.702)) * g)
  }

  @Test(arguments: names.indices) func name(index: Int) throws {
    let (name, formula) = Self.names[index]
    let activation = try Activation(named: name)
    #expect(activation.isGated == !name.hasSuffix("_no_mul"))
    for (gate, up) in [(0.5, -2.0), (9, 8), (-1, 9), (9, -9)] {
      #expect(abs(activation(gate: gate, up: up) - formula(gate, up)) < 1e-12, "\(name) at \(gate), \(up)")
    }
  }

  @Test func unknownNames() {
    expectFaults([.configuration], ["reglu", "gelu_tanh", "relu2_no_mul"]) { _ = try Activation(named: "reglu") }
  }

  @Test func descriptions() {
    #expect(Activation.silu.description == "silu")
    #expect(Activation.swigluOAI().description == "silu(limit 7.0, α 1.702, β 1.0)")
    #expect(Activation(.relu2, isGated: false).description == "relu2, no gate")
  }
}
