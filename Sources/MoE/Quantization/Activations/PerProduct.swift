// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A value for each of an expert's two matrix products: gate and up, which share their input, and down.
public struct PerProduct<Value> {
  public var gateUp: Value
  public var down: Value

  public init(gateUp: Value, down: Value) {
    self.gateUp = gateUp
    self.down = down
  }

  /// The value of the product that a projection is part of.
  public subscript(projection: Projection) -> Value {
    get { projection == .down ? down : gateUp }
    set { if projection == .down { down = newValue } else { gateUp = newValue } }
  }
}

extension PerProduct: Sendable where Value: Sendable {}
extension PerProduct: Equatable where Value: Equatable {}
extension PerProduct: Hashable where Value: Hashable {}

/// How the inputs of both products are quantised.
public typealias ActivationSchemes = PerProduct<ActivationScheme>

/// The static scales of the inputs of both products, one for all experts of a layer; nil where none is stored.
///
/// They are factors: an input is about its code times the scale. (compressed-tensors stores the inverse for NVFP4.)
public typealias InputScales = PerProduct<Float?>

extension ActivationSchemes {
  public static let unquantized = Self(gateUp: .unquantized, down: .unquantized)

  public var dependsOnBatch: Bool { gateUp.dependsOnBatch || down.dependsOnBatch }
}

extension ActivationSchemes: CustomStringConvertible {
  /// One scheme, or one for each product.
  public var description: String { gateUp == down ? "\(gateUp)" : "gate and up \(gateUp), down \(down)" }
}

/// In which precision a backend takes the inputs of the products.
public enum ActivationPrecision: String, Sendable, Hashable, CaseIterable {
  /// As they are, whatever the checkpoint declares.
  case f32
  /// Rounded to bf16, to nearest, ties to even.
  case bf16
  /// As bytes with scales: amax / 127 of 64 inputs, or fewer where fewer share a scale of the weights, or 512 where a row
  /// of weights has one scale.
  case int8
  /// As e4m3 with scales: of 128 inputs where 128 share a scale of the weights, else of a row.
  case fp8
  /// Quantised as the checkpoint declares.
  case declared
}
