// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints

/// Who computes the experts of a layer: this process alone, or ranks that share them.
public protocol ExpertRunner<B>: Sendable {
  associatedtype B: Backend

  /// The experts in this process.
  var storage: B.Storage { get }

  /// Σ weight · expert over the slots of each token, in slot order.
  ///
  /// - Parameters:
  ///   - hidden: `[tokens, H]`, the width of the storage.
  ///   - routing: ids of the layer's experts, −1 is skipped.
  ///   - meanwhile: work that needs nothing of this, called once, while rows travel where they do.
  /// - Returns: `[tokens, H]`.
  func forward(
    _ hidden: [Float], routing: Routing, meanwhile: () throws(MoEError) -> Void
  ) throws(MoEError) -> [Float]
}

/// All experts in this process.
struct LocalRunner<B: Backend>: ExpertRunner {
  let backend: B
  let storage: B.Storage

  func forward(
    _ hidden: [Float], routing: Routing, meanwhile: () throws(MoEError) -> Void
  ) throws(MoEError) -> [Float] {
    let output = try backend.forward(storage, hidden: hidden, routing: routing)
    try meanwhile()
    return output
  }
}

/// Where the experts of a layer are loaded: all in this process, or shares of them on many ranks.
public protocol ExpertLoading: Sendable {
  /// Loads this process's share of a group of experts.
  ///
  /// - Parameters:
  ///   - isShared: whether every token visits them, so that every rank needs them.
  ///   - type: what the weights are converted or quantised to; nil for what they are.
  func load<B: Backend>(
    _ source: ExpertSource, of catalog: TensorCatalog, on backend: B, isShared: Bool, weightType type: WeightType?,
    progress: (@Sendable (LoadProgress) -> Void)?
  ) throws(MoEError) -> RoutedExperts<B>
}

/// All experts in this process.
public struct LocalLoading: ExpertLoading {
  public init() {}

  public func load<B: Backend>(
    _ source: ExpertSource, of catalog: TensorCatalog, on backend: B, isShared: Bool, weightType type: WeightType?,
    progress: (@Sendable (LoadProgress) -> Void)?
  ) throws(MoEError) -> RoutedExperts<B> {
    try RoutedExperts(source, of: catalog, on: backend, weightType: type, progress: progress)
  }
}
