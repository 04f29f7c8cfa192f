// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE

/// What a verification against the original found.
public struct VerificationReport: Sendable {
  /// What was verified, and against what.
  public var path: String
  public var originalPath: String
  public var architecture: String
  /// The formats of both, layer by layer.
  public var layers: [Layer]
  /// Every projection of every expert, in the order of layers, experts and projections.
  public var matrices: [MatrixVerification]
  /// What routes, and what stands around the experts.
  public var tensors: [TensorVerification] = []
  /// Of each layer, where outputs were compared.
  public var outputs: [OutputVerification] = []
  /// Of both checkpoints.
  public var bytesRead: Int

  public struct Layer: Sendable, Hashable {
    public var index: Int
    public var format: String
    public var originalFormat: String
  }

  /// Matrices that are flagged.
  public var suspects: [MatrixVerification] { matrices.filter { !$0.flags.isEmpty } }

  /// Whether nothing is flagged.
  public var isFaithful: Bool {
    suspects.isEmpty && tensors.allSatisfy(\.isFaithful) && outputs.allSatisfy(\.isFaithful)
  }

  public var weightCount: Int { matrices.reduce(0) { $0 + $1.rows * $1.columns } }

  init(
    _ pair: VerificationPair, _ matrices: [MatrixVerification], _ requirement: CheckpointVerification.Requirement
  ) {
    path = pair.stored.checkpoint.path
    originalPath = pair.original.checkpoint.path
    architecture = pair.stored.architecture
    layers = pair.stored.layers.map { layer in
      let original = pair.original.layers.first { $0.index == layer.index }
      return Layer(
        index: layer.index, format: layer.experts.format, originalFormat: original?.experts.format ?? "none")
    }
    self.matrices = matrices
    bytesRead = pair.byteCount
    for index in self.matrices.indices { self.matrices[index].judge(by: requirement) }
    compareSiblings()
  }
}

// MARK: - Judgement

extension MatrixVerification {
  /// Noise above that of rounding that is suspect, in dB. See `docs/verification.md` for what faithful ones have.
  static let formatMargin = 6.0
  /// No format leaves less, in dB.
  static let leastDecibels = 4.0

  fileprivate mutating func judge(by requirement: CheckpointVerification.Requirement) {
    if !squares.stored.isFinite || !squares.difference.isFinite, greatest.original.isFinite { flags.insert(.notFinite) }
    if case .steps(let count) = requirement {
      let isAllowed = isEqual || count > 0 && steps.map { $0 <= Double(count) * 1.001 } ?? false
      if !isAllowed { flags.insert(.exactness) }
      return
    }
    guard !isEqual, !flags.contains(.notFinite) else { return }
    // Scales of groups that are 0 may be any number.
    if let noise = roundingNoise, noise > squares.original / 4 { roundingNoise = nil }
    if let excess, !(excess <= Self.formatMargin) { flags.insert(.format) }
    if !(decibels >= Self.leastDecibels) { flags.insert(.format) }
  }

  /// What is compared with siblings, in dB: noise over that of rounding, or over the signal.
  fileprivate func level(overRounding: Bool) -> Double { max(-60, overRounding ? excess ?? 0 : -decibels) }
}

extension VerificationReport {
  /// Experts that have much more noise than the others of their layer; shared experts than those of other layers.
  private mutating func compareSiblings() {
    struct Family: Hashable {
      var layer: Int?
      var projections: [Projection]
    }
    let families = Dictionary(grouping: matrices.indices) { index -> Family in
      let place = matrices[index].place
      return Family(layer: place.isShared ? nil : place.layer, projections: place.projections)
    }
    for members in families.values.map({ $0.filter { matrices[$0].flags != [.notFinite] } }) where members.count >= 4 {
      // Levels of two kinds can't be compared: where rounding is unknown of one, it doesn't count for any.
      let overRounding = members.allSatisfy { matrices[$0].excess != nil }
      let levels = members.map { matrices[$0].level(overRounding: overRounding) }
      let middle = Self.median(levels)
      // The standard deviation of what has no outliers.
      let deviation = 1.4826 * Self.median(levels.map { abs($0 - middle) })
      for (index, level) in zip(members, levels) {
        matrices[index].distance = level - middle
        // Noise that is no more than that of rounding is no damage, whatever the others have.
        let isNoise = matrices[index].excess.map { $0 > 0.5 } ?? true
        if !matrices[index].isEqual, isNoise, !(level - middle <= max(1, 8 * deviation)) {
          matrices[index].flags.insert(.siblings)
        }
      }
    }
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
