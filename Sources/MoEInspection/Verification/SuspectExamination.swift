// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

/// Looks closely at what is suspect: reads it whole and tries what may have happened to it.
struct SuspectExamination: Sendable {
  private let comparer: MatrixComparer
  private let work: [(item: Int, matrix: Int)]
  private let fingerprints: [Fingerprint]

  /// More are not looked at: then it is not an expert that is damaged.
  private static let limit = 64

  init(_ comparer: MatrixComparer, _ work: [(item: Int, matrix: Int)], _ fingerprints: [Fingerprint]) {
    (self.comparer, self.work, self.fingerprints) = (comparer, work, fingerprints)
  }

  private struct Reading: Sendable {
    var stored: [Float]
    var fingerprint: Fingerprint
  }

  /// - Throws: what reading throws.
  func run(_ report: inout VerificationReport, _ pool: WorkerPool) throws(MoEError) {
    let matrices = report.matrices
    let suspects = Array(matrices.indices.filter { !matrices[$0].flags.isEmpty }.prefix(Self.limit))
    let found = try pool.tryMap(suspects.count) { (place) throws(MoEError) in
      Diagnosis(try suspect(suspects[place], matrices[suspects[place]]))
    }
    for (index, diagnosis) in zip(suspects, found) { report.matrices[index].diagnosis = diagnosis }
  }

  private func pair(_ index: Int) -> VerificationPair.Pair {
    comparer.pair.items[work[index].item].matrices[work[index].matrix]
  }

  private func place(_ index: Int) -> MoEModel.Place {
    var place = comparer.pair.items[work[index].item].place
    place.projections = [pair(index).projection]
    return place
  }

  private func stored(_ index: Int) throws(MoEError) -> Reading {
    let side = pair(index).stored
    let values = try comparer.values(side, isOriginal: false)
    return Reading(
      stored: values, fingerprint: Fingerprint(values, rows: side.rows, columns: side.source.columns))
  }

  private func original(_ index: Int) throws(MoEError) -> [Float] {
    try comparer.values(pair(index).original, isOriginal: true)
  }

  private func suspect(_ index: Int, _ verification: MatrixVerification) throws(MoEError) -> Suspect {
    let own = pair(index)
    let reading = try stored(index)
    var suspect = Suspect(
      projection: own.projection, rows: verification.rows, columns: verification.columns,
      original: try original(index), stored: reading.stored, siblings: [:], lookalikes: [], isGateUpExchanged: false,
      roundingNoise: verification.roundingNoise ?? 0)
    for other in work.indices where work[other].item == work[index].item && other != index {
      let projection = pair(other).projection
      let values = try original(other)
      guard values.count == suspect.stored.count else { continue }
      suspect.siblings[projection] = values
      if own.projection != .down, projection != .down, pair(other).stored.rows == own.stored.rows {
        suspect.isGateUpExchanged = try stored(other).fingerprint.similarity(to: fingerprints[index]) > 0.7
      }
    }
    let alike = fingerprints.indices.filter { other in
      work[other].item != work[index].item && reading.fingerprint.similarity(to: fingerprints[other]) > 0.7
    }
    for other in alike.prefix(2) {
      let values = try original(other)
      let isExchanged = try stored(other).fingerprint.similarity(to: fingerprints[index]) > 0.7
      suspect.lookalikes.append(("\(place(other))", values, isExchanged))
    }
    return suspect
  }
}
