// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE
internal import Tensors

/// How a small tensor beside the experts differs from the original: of the router, a norm, a projection of a latent.
public struct TensorVerification: Sendable, Hashable {
  public var layer: Int
  public var name: String
  /// ‖a − b‖ / ‖a‖; nil where the original has none, or one of another size.
  public var relativeError: Double?

  /// Such tensors are carried over, or rounded to 16 bits.
  static let limit = 1.0 / 128

  public var isFaithful: Bool { relativeError.map { $0 <= Self.limit } ?? false }

  /// The tensors of all layers of both.
  static func all(_ pair: VerificationPair, _ pool: WorkerPool) throws(MoEError) -> [Self] {
    let originals = Dictionary(uniqueKeysWithValues: pair.original.layers.map { ($0.index, $0) })
    let work = pair.stored.layers.flatMap { layer -> [(layer: Int, stored: TensorRecord, original: TensorRecord?)] in
      guard let original = originals[layer.index] else { return [] }
      return zip(tensors(layer), tensors(original)).compactMap { stored, other in
        stored.map { (layer.index, $0, other) }
      }
    }
    return try pool.tryMap(work.count) { (index) throws(MoEError) in
      let (layer, stored, original) = work[index]
      let values = try pair.stored.checkpoint.catalog.values(of: stored)
      let others = try original.map { (tensor) throws(MoEError) in
        try pair.original.checkpoint.catalog.values(of: tensor)
      }
      return Self(layer: layer, name: stored.name, relativeError: others.flatMap { error(values, $0) })
    }
  }

  private static func tensors(_ layer: MoEModel.Layer) -> [TensorRecord?] {
    let gate = layer.gate
    return [
      gate.weight, gate.bias, gate.correctionBias, gate.inputScale?.scale, gate.perExpertScale, layer.shared?.gate,
      layer.latent?.down, layer.latent?.up, layer.outputNorm?.scale,
    ]
  }

  private static func error(_ values: [Float], _ original: [Float]) -> Double? {
    guard values.count == original.count else { return nil }
    var (noise, signal) = (0.0, 0.0)
    for (x, y) in zip(original, values) {
      noise += (Double(x) - Double(y)) * (Double(x) - Double(y))
      signal += Double(x) * Double(x)
    }
    return noise == 0 ? 0 : (noise / signal).squareRoot()
  }
}
