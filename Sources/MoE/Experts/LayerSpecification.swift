// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// A group of experts as a backend sees it: sizes, activation and type, no names and no values.
///
/// A routed layer has one of these, its shared experts have another (of one expert).
public struct LayerSpecification: Sendable, Hashable {
  /// Experts with weights.
  public var expertCount: Int
  /// H, the width of input and output.
  public var hiddenSize: Int
  /// I, the width between the matrix products.
  public var intermediateSize: Int
  public var activation: Activation
  /// Whether every projection has a bias.
  public var hasBias: Bool
  /// Whether the router's weight multiplies the expert's input instead of its output (Llama-4).
  public var weightOnInput: Bool
  /// The stored type of the weights.
  public var elementType: ElementType

  public init(
    expertCount: Int, hiddenSize: Int, intermediateSize: Int, activation: Activation = .silu, hasBias: Bool = false,
    weightOnInput: Bool = false, elementType: ElementType = .bf16
  ) {
    self.expertCount = expertCount
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.activation = activation
    self.hasBias = hasBias
    self.weightOnInput = weightOnInput
    self.elementType = elementType
  }

  /// The projections of each expert.
  public var projections: [Projection] { activation.isGated ? [.gate, .up, .down] : [.up, .down] }

  /// The tensors of each projection.
  public var roles: [TensorRole] { hasBias ? [.weight, .bias] : [.weight] }

  /// Logical `(rows, columns)` = `(out, in)` of a projection.
  public func size(of projection: Projection) -> (rows: Int, columns: Int) {
    projection == .down ? (hiddenSize, intermediateSize) : (intermediateSize, hiddenSize)
  }

  /// Weights of one expert.
  public var parametersPerExpert: Int { projections.count * hiddenSize * intermediateSize }
}
