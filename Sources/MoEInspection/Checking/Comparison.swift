// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// A stored matrix of an expert, as far as it is compared with others.
struct ComparedMatrix: Sendable {
  var place: MoEModel.Place
  var stem: String
  var values: MatrixValues
}

/// What only shows beside other experts, and weights that say nothing.
struct Comparison {
  private(set) var findings: [Finding] = []

  /// Magnitudes that lie farther apart than this are those of other units, or of another model.
  private static let ratioLimit: Float = 0x1p6

  init(_ matrices: [ComparedMatrix]) {
    func key(_ matrix: ComparedMatrix) -> (Int, Int, Int) {
      (matrix.place.layer ?? 0, matrix.place.expert ?? .max, matrix.place.projections.first?.order ?? 0)
    }
    let matrices = matrices.sorted { key($0) < key($1) }
    for matrix in matrices { reportIdle(matrix) }
    reportIdentical(matrices)
    let layers = Dictionary(grouping: matrices) { $0.place.layer ?? 0 }
    for (_, matrices) in layers.sorted(by: { $0.key < $1.key }) {
      let routed = matrices.filter { !$0.place.isShared }
      for projection in Projection.allCases { reportOutliers(routed, projection) }
      reportScales(matrices)
    }
  }

  private mutating func warn(
    _ code: Fault.Code, _ message: String, _ matrix: ComparedMatrix, _ projections: [Projection],
    expected: String? = nil, found: String? = nil
  ) {
    var place = matrix.place
    place.projections = projections
    findings.append(
      Finding(.warning, Fault(code, message, subject: matrix.stem, expected: expected, found: found), at: place))
  }

  private mutating func reportIdle(_ matrix: ComparedMatrix) {
    for (projection, statistics) in matrix.values.statistics.sorted(by: { $0.key.order < $1.key.order }) {
      if statistics.isZero {
        warn(.zeroWeights, "all weights are 0", matrix, [projection])
      } else if statistics.isConstant, statistics.count > 1 {
        warn(
          .constantWeights, "all weights are the same number", matrix, [projection],
          found: "\(statistics.greatestMagnitude) or its negative")
      }
    }
  }

  /// Matrices whose bytes another one has, too; a copied expert is one finding.
  private mutating func reportIdentical(_ matrices: [ComparedMatrix]) {
    struct Pair: Hashable {
      var copy: MoEModel.Place
      var original: MoEModel.Place
    }
    var first: [UInt64: ComparedMatrix] = [:]
    var pairs: [Pair: (matrix: ComparedMatrix, projections: [Projection], originals: [Projection])] = [:]
    var order: [Pair] = []
    for matrix in matrices where !matrix.values.statistics.values.allSatisfy(\.isConstant) {
      guard let original = first[matrix.values.digest] else {
        first[matrix.values.digest] = matrix
        continue
      }
      var pair = Pair(copy: matrix.place, original: original.place)
      (pair.copy.projections, pair.original.projections) = ([], [])
      if pairs[pair] == nil {
        pairs[pair] = (matrix, [], [])
        order.append(pair)
      }
      pairs[pair]!.projections += matrix.place.projections
      pairs[pair]!.originals += original.place.projections
    }
    for pair in order {
      let (matrix, projections, originals) = pairs[pair]!
      var original = pair.original
      original.projections = originals
      warn(.identicalWeights, "the stored bytes are those of another expert", matrix, projections, found: "\(original)")
    }
  }

  /// Experts whose greatest magnitude is far from the median of their siblings.
  private mutating func reportOutliers(_ matrices: [ComparedMatrix], _ projection: Projection) {
    let magnitudes = matrices.compactMap { matrix -> (ComparedMatrix, Float)? in
      guard let statistics = matrix.values.statistics[projection], statistics.isFinite, !statistics.isZero else {
        return nil
      }
      return (matrix, statistics.greatestMagnitude)
    }
    guard magnitudes.count > 2 else { return }
    let median = magnitudes.map(\.1).sorted()[(magnitudes.count - 1) / 2]
    for (matrix, magnitude) in magnitudes
    where magnitude > Self.ratioLimit * median || magnitude * Self.ratioLimit < median {
      warn(
        .outlyingWeights, "the greatest weight is far from that of the other experts", matrix, [projection],
        expected: "within a factor of \(Int(Self.ratioLimit)) of \(median)", found: "\(magnitude)")
    }
  }

  /// Scales of whole matrices that differ between gate and up: legal here, and refused or requantised elsewhere.
  private mutating func reportScales(_ matrices: [ComparedMatrix]) {
    for role in [TensorRole.scale, .globalScale, .inputScale, .inputGlobalScale] {
      var scales: [MoEModel.Place: [Float]] = [:]
      for matrix in matrices where matrix.place.projections != [.down] {
        guard let scale = matrix.values.scalars[role] else { continue }
        var place = matrix.place
        place.projections = []
        scales[place, default: []].append(scale)
      }
      let differing = scales.filter { Set($0.value).count > 1 }
      let firsts = differing.min { ($0.key.expert ?? .max) < ($1.key.expert ?? .max) }
      guard let first = firsts else { continue }
      findings.append(
        Finding(
          .note,
          Fault(
            .differingScales, "gate and up have different scales (\(role)): both are kept",
            found: "\(differing.count) of \(scales.count) expert(s), for example \(first.key) "
              + first.value.map { "\($0)" }.joined(separator: " and ")),
          at: MoEModel.Place(layer: first.key.layer)))
    }
  }
}

extension Projection {
  /// Gate, up, down.
  fileprivate var order: Int { Self.allCases.firstIndex(of: self)! }
}
