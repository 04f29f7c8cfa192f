// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE
public import Tensors

/// Two checkpoints of the same experts, expert by expert.
struct VerificationPair: Sendable {
  let stored: MoEModel
  let original: MoEModel
  /// In the order of layers and experts.
  let items: [Item]

  /// One expert.
  struct Item: Sendable {
    var place: MoEModel.Place
    var matrices: [Pair]
  }

  /// A projection in both checkpoints.
  struct Pair: Sendable {
    var projection: Projection
    var original: Side
    var stored: Side
    /// Bytes of both, as far as they belong to the projection.
    var byteCount: Int { original.byteCount + stored.byteCount }
  }

  struct Side: Sendable {
    var source: MatrixSource
    var part: MatrixSource.Part
    var rows: Int { source.rowCount(part) }
    var byteCount: Int { source.byteCount / source.parts.count }
  }

  var byteCount: Int { items.reduce(0) { $0 + $1.matrices.reduce(0) { $0 + $1.byteCount } } }

  /// - Throws: every layer and size in which they are two models.
  init(
    _ stored: MoEModel, against original: MoEModel, experts: Set<Int>?
  ) throws(MoEError) {
    (self.stored, self.original) = (stored, original)
    var faults: [Fault] = []
    var items: [Item] = []
    let originals = Dictionary(uniqueKeysWithValues: original.layers.map { ($0.index, $0) })
    for layer in stored.layers {
      guard let other = originals[layer.index] else {
        faults.append(
          Fault(
            .unmatched, "the original has no MoE layer of this number", file: original.checkpoint.path,
            subject: "layer \(layer.index)"))
        continue
      }
      let found = Self.differences(layer, other)
      faults += found
      if found.isEmpty { items += Self.items(layer, other, experts) }
    }
    if items.isEmpty && faults.isEmpty {
      faults.append(Fault(.unmatched, "there is nothing to compare", expected: "an expert of a layer of both"))
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    self.items = items
  }

  private static func items(_ layer: MoEModel.Layer, _ other: MoEModel.Layer, _ experts: Set<Int>?) -> [Item] {
    var items = layer.experts.experts.indices.filter { experts?.contains($0) ?? true }.map { expert in
      Item(
        place: MoEModel.Place(layer: layer.index, expert: expert),
        matrices: pairs(layer.experts.experts[expert], other.experts.experts[expert]))
    }
    for (matrices, others) in zip(layer.shared?.experts.experts ?? [], other.shared?.experts.experts ?? []) {
      items.append(
        Item(place: MoEModel.Place(layer: layer.index, isShared: true), matrices: pairs(matrices, others)))
    }
    return items
  }

  private static func pairs(_ stored: [MatrixSource], _ original: [MatrixSource]) -> [Pair] {
    func sides(_ matrices: [MatrixSource]) -> [Projection: Side] {
      var sides: [Projection: Side] = [:]
      for source in matrices { for part in source.parts { sides[part.projection] = Side(source: source, part: part) } }
      return sides
    }
    let (a, b) = (sides(original), sides(stored))
    return Projection.allCases.compactMap { projection in
      guard let original = a[projection], let stored = b[projection] else { return nil }
      return Pair(projection: projection, original: original, stored: stored)
    }
  }

  /// Where two layers are not the same experts.
  private static func differences(_ layer: MoEModel.Layer, _ other: MoEModel.Layer) -> [Fault] {
    func sizes(_ source: ExpertSource?) -> String {
      guard let specification = source?.specification else { return "none" }
      return "\(specification.expertCount) of [\(specification.hiddenSize), \(specification.intermediateSize)], "
        + specification.projections.map(\.rawValue).joined(separator: ", ")
    }
    let kinds = [
      ("experts", sizes(layer.experts), sizes(other.experts)),
      ("shared experts", sizes(layer.shared?.experts), sizes(other.shared?.experts)),
    ]
    return kinds.filter { $0.1 != $0.2 }.map { name, found, expected in
      Fault(
        .unmatched, "the \(name) are others than those of the original", subject: "layer \(layer.index)",
        expected: expected, found: found)
    }
  }
}

extension Fault.Code {
  /// Two checkpoints are not of one model.
  public static let unmatched = Self(rawValue: "unmatched")
}
