// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Tensors

public import Checkpoints

/// The linear map from hidden states to router logits, and the router behind it.
public struct Gate<B: Backend>: Sendable {
  public let router: any Router
  let linear: B.Linear
  /// Gemma-4: x / rms(x) · scale · H^−½ comes before the map.
  let inputNorm: RootMeanSquareNorm?

  public init(router: any Router, linear: B.Linear) {
    self.router = router
    self.linear = linear
    inputNorm = nil
  }

  init(_ layer: MoEModel.Layer, of catalog: TensorCatalog, on backend: B) throws(MoEError) {
    router = try layer.makeRouter(catalog)
    linear = try backend.makeLinear(
      layer.gate.weight, isTurned: layer.gate.isTurned, bias: layer.gate.bias, of: catalog)
    inputNorm = try layer.gate.inputScale.map { (source) throws(MoEError) in
      let factor = 1 / Float(layer.hiddenSize).squareRoot()
      return RootMeanSquareNorm(
        scale: try catalog.values(of: source.scale).map { $0 * factor }, epsilon: source.epsilon)
    }
  }

  /// `[tokens, experts]` from `[tokens, H]`.
  public func logits(_ hidden: [Float], tokenCount: Int, on backend: B) throws(MoEError) -> [Float] {
    try backend.apply(linear, to: inputNorm?.apply(hidden) ?? hidden, tokenCount: tokenCount)
  }
}

extension MoEModel.Layer {
  /// The router of the layer, with its tensors read.
  public func makeRouter(_ catalog: TensorCatalog) throws(MoEError) -> any Router {
    let idCount = specification.expertCount + plan.zeroExpertCount
    switch plan.kind {
    case .topK(let recipe):
      return try TopKRouter(
        expertCount: idCount, topK: topK, recipe: recipe,
        // Of a bias for text and one for images, the first.
        correctionBias: gate.correctionBias.map { (tensor) throws(MoEError) in
          Array(try catalog.values(of: tensor).prefix(idCount))
        },
        perExpertScale: gate.perExpertScale.map { (tensor) throws(MoEError) in try catalog.values(of: tensor) })
    case .hash(let scoring, let normalization, let scale):
      let table = try gate.hashTable.map { (tensor) throws(MoEError) in try catalog.indices(of: tensor) } ?? []
      let vision = try gate.images.map { (images) throws(MoEError) in
        HashRouter.Vision(bias: try catalog.values(of: images.bias), imageSentinel: images.sentinel)
      }
      return try HashRouter(
        expertCount: idCount, topK: topK, table: table, scoring: scoring, normalization: normalization, scale: scale,
        vision: vision)
    case .sparseMixer(let jitter):
      return try SparseMixerRouter(expertCount: idCount, jitter: jitter)
    }
  }
}

extension Backend {
  /// A matrix of a checkpoint, `[out, in]`.
  ///
  /// - Parameter isTurned: whether it is stored `[in, out]`.
  func makeLinear(
    _ tensor: TensorRecord, isTurned: Bool = false, bias: TensorRecord? = nil, of catalog: TensorCatalog
  ) throws(MoEError) -> Linear {
    // A matrix of one row may be stored as a vector.
    let sizes = tensor.logicalShape.dimensions
    let (rows, columns) = (sizes.count > 1 ? sizes[0] : 1, sizes.last ?? 1)
    let stored = try catalog.values(of: tensor)
    let weights =
      isTurned ? (0..<columns).flatMap { column in (0..<rows).map { stored[$0 * columns + column] } } : stored
    return try makeLinear(
      weights: weights, rows: isTurned ? columns : rows, columns: isTurned ? rows : columns,
      bias: bias.map { (bias) throws(MoEError) in try catalog.values(of: bias) })
  }
}
