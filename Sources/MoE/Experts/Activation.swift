// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

/// The function between the two matrix products of an expert: `f(gate) · (up + β)`, or `f(up)` without a gate.
///
/// With g = gate and u = up, in this order: clamp before (`limit`: g from above, u from both sides), `f`, clamp after
/// (`limitAfter`: f(g) from above, u from both sides), product. Without a gate, up takes the place of g. Values are
/// computed in the precision of the caller.
///
/// ```swift
/// Activation.silu                                  // Mixtral, Qwen, DeepSeek
/// Activation.swigluOAI(alpha: 1.702, limit: 7)     // gpt-oss
/// Activation(named: "relu2_no_mul")                // Nemotron-H
/// ```
public struct Activation: Sendable, Hashable {
  /// The scalar function of the gate.
  public enum Function: Sendable, Hashable {
    /// x · σ(αx)
    case silu
    /// ½x(1 + erf(x/√2))
    case gelu
    /// ½x(1 + tanh(√(2/π)(x + 0.044715x³)))
    case geluTanh
    /// max(x, 0)²
    case relu2
    /// β·tanh(x/β)·σ(x); `upBeta` > 0 also squashes up to b·tanh(u/b).
    case situ(beta: Float, upBeta: Float)
  }

  public var function: Function
  /// Whether the expert has a gate projection.
  public var isGated: Bool
  /// The slope α of the sigmoid in `silu`.
  public var alpha: Float
  /// Added to up before the product.
  public var beta: Float
  /// The clamp before `f`; nil is none.
  public var limit: Float?
  /// The clamp after `f`; nil is none.
  public var limitAfter: Float?

  public init(
    _ function: Function, isGated: Bool = true, alpha: Float = 1, beta: Float = 0, limit: Float? = nil,
    limitAfter: Float? = nil
  ) {
    self.function = function
    self.isGated = isGated
    self.alpha = alpha
    self.beta = beta
    self.limit = limit
    self.limitAfter = limitAfter
  }

  public static let silu = Self(.silu)

  /// gpt-oss: (u + 1) · g · σ(αg), both clamped before.
  public static func swigluOAI(alpha: Float = 1.702, limit: Float = 7) -> Self {
    Self(.silu, alpha: alpha, beta: 1, limit: limit)
  }

  /// Step-3.5: min(silu(g), limit) · clamp(u, ±limit).
  public static func swigluStep(limit: Float = 7) -> Self { Self(.silu, limitAfter: limit) }
}

extension Activation {
  /// The activations by the names that configurations and other engines use.
  static let named: [(name: String, activation: Activation)] = [
    ("silu", .silu), ("swish", .silu), ("swiglu", .silu),
    ("gelu", Self(.gelu)),
    ("gelu_tanh", Self(.geluTanh)), ("gelu_pytorch_tanh", Self(.geluTanh)), ("gelu_new", Self(.geluTanh)),
    ("swigluoai", .swigluOAI()), ("swigluoai_uninterleave", .swigluOAI()),
    ("swiglustep", .swigluStep()),
    ("relu2", Self(.relu2)),
    ("silu_no_mul", Self(.silu, isGated: false)),
    ("gelu_no_mul", Self(.gelu, isGated: false)),
    ("gelu_tanh_no_mul", Self(.geluTanh, isGated: false)),
    ("relu2_no_mul", Self(.relu2, isGated: false)),
  ]

  /// - Throws: `configuration` listing the valid names.
  public init(named name: String) throws(MoEError) {
    guard let match = Self.named.first(where: { $0.name == name }) else {
      throw MoEError(
        .configuration, "unknown activation", subject: name,
        expected: Self.named.map(\.name).joined(separator: ", "))
    }
    self = match.activation
  }
}

extension Activation {
  /// One output element in Float64, written to be read: the oracle of every fast path.
  ///
  /// - Parameters:
  ///   - gate: ignored by an activation without a gate.
  ///   - up: the value of the up projection.
  public func callAsFunction(gate: Double, up: Double) -> Double {
    let (before, after) = (limit.map(Double.init) ?? .infinity, limitAfter.map(Double.init) ?? .infinity)
    let activated = min(apply(min(isGated ? gate : up, before)), after)
    guard isGated else { return activated }
    var up = max(-before, min(up, before))
    if case .situ(_, let upBeta) = function, upBeta > 0 { up = Double(upBeta) * tanh(up / Double(upBeta)) }
    return activated * (max(-after, min(up, after)) + Double(beta))
  }

  private func apply(_ x: Double) -> Double {
    switch function {
    case .silu: x / (1 + exp(-Double(alpha) * x))
    case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .relu2: max(x, 0) * max(x, 0)
    case .situ(let beta, _): Double(beta) * tanh(x / Double(beta)) / (1 + exp(-x))
    }
  }
}

extension Activation: CustomStringConvertible {
  /// For example `silu(limit 7, α 1.702, β 1)` or `relu2, no gate`.
  public var description: String {
    var text: String
    switch function {
    case .silu: text = "silu"
    case .gelu: text = "gelu"
    case .geluTanh: text = "gelu_tanh"
    case .relu2: text = "relu2"
    case .situ(let beta, let upBeta): text = "situ(β \(beta), up β \(upBeta))"
    }
    let details = [
      limit.map { "limit \($0)" }, limitAfter.map { "limit after \($0)" }, alpha == 1 ? nil : "α \(alpha)",
      beta == 0 ? nil : "β \(beta)",
    ].compactMap(\.self)
    if !details.isEmpty { text += "(" + details.joined(separator: ", ") + ")" }
    return isGated ? text : text + ", no gate"
  }
}
