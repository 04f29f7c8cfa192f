// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEInspection

/// The result of `moe verify`, as text and as JSON.
struct VerifyResult {
  private let report: VerificationReport
  private let seconds: Double

  init(_ report: VerificationReport, seconds: Double) {
    self.report = report
    self.seconds = seconds
  }

  func text(all: Bool) -> String {
    let suspects = report.suspects
    var lines = ["\(report.path) against \(report.originalPath): \(report.architecture)"]
    let formats = Dictionary(grouping: report.layers) { "\($0.format) against \($0.originalFormat)" }
    for (facts, layers) in formats.sorted(by: { $0.value[0].index < $1.value[0].index }) {
      lines.append("layers \(layers.map(\.index).ranges): \(facts)")
    }
    lines.append(
      "\(Format.bytes(report.bytesRead)) read, \(Format.short(Double(report.weightCount) / 1e9)) G weights, in "
        + "\(Format.short(seconds)) s (\(Format.rate(Double(report.bytesRead) / seconds)))")
    var table = TextTable(["", "dB", "of rounding", "cosine", "‖a-b‖/‖a‖", "greatest", "at"], leftAligned: [0, 6])
    let groups = Dictionary(grouping: report.matrices) { matrix in
      Group(isShared: matrix.place.isShared, projection: matrix.place.projections[0])
    }
    for (group, matrices) in groups.sorted(by: { $0.key < $1.key }) {
      let worst = matrices.min { $0.decibels < $1.decibels }!
      let kind = group.isShared ? "shared \(group.projection)" : "\(group.projection)"
      table.append(Self.row("\(kind), worst of \(matrices.count)", worst))
    }
    if all { for matrix in report.matrices { table.append(Self.row("\(matrix.place)", matrix)) } }
    lines += ["", table.text, ""]
    for matrix in suspects { lines.append(Self.line(matrix)) }
    for tensor in report.tensors where !tensor.isFaithful {
      lines.append("layer \(tensor.layer), \(tensor.name): \(tensor.summary)")
    }
    if !report.isFaithful { lines.append("") }
    let others = report.tensors.count { !$0.isFaithful }
    lines.append(
      report.isFaithful
        ? "faithful: \(report.matrices.count) matrices and \(report.tensors.count) other tensors"
        : "NOT faithful: \(suspects.count) of \(report.matrices.count) matrices"
          + (others > 0 ? " and \(others) of \(report.tensors.count) other tensors" : "") + " are suspect")
    return lines.joined(separator: "\n")
  }

  private struct Group: Hashable, Comparable {
    var isShared: Bool
    var projection: Projection

    static func < (a: Self, b: Self) -> Bool {
      func key(_ group: Self) -> (Int, Int) {
        (group.isShared ? 1 : 0, Projection.allCases.firstIndex(of: group.projection)!)
      }
      return key(a) < key(b)
    }
  }

  private static func row(_ name: String, _ matrix: MatrixVerification) -> [String] {
    [
      name, matrix.isEqual ? "equal" : Format.fixed(matrix.decibels, 1),
      matrix.expectedDecibels.map { Format.fixed($0, 1) } ?? "–", Format.fixed(matrix.cosine, 6),
      Format.scientific(matrix.relativeError), Format.scientific(Double(matrix.greatest.magnitude)),
      matrix.isEqual
        ? ""
        : "layer \(matrix.place.layer ?? 0)" + (matrix.place.expert.map { ", expert \($0)" } ?? "")
          + " [\(matrix.greatest.row), \(matrix.greatest.column)]",
    ]
  }

  private static func line(_ matrix: MatrixVerification) -> String {
    "suspect  \(matrix.place): \(matrix.summary)\n         \(matrix.diagnosis?.text ?? "not examined: too many suspects")"
  }
}

// MARK: - For programs

extension VerifyResult {
  var object: JSONValue {
    [
      "schema": 1, "command": "verify", "path": .string(report.path), "original": .string(report.originalPath),
      "family": .string(report.architecture), "faithful": .bool(report.isFaithful),
      "layers": .array(
        report.layers.map {
          [
            "index": .integer($0.index), "format": .string($0.format), "original_format": .string($0.originalFormat),
          ]
        }),
      "matrices": .array(report.matrices.map(Self.object)),
      "tensors": .array(
        report.tensors.map {
          [
            "layer": .integer($0.layer), "name": .string($0.name), "relative_error": Self.number($0.relativeError),
            "faithful": .bool($0.isFaithful),
          ]
        }),
      "bytes_read": .integer(report.bytesRead), "weights": .integer(report.weightCount), "seconds": .number(seconds),
    ]
  }

  /// JSON has no infinity: what is not finite is null.
  private static func number(_ value: Double?) -> JSONValue {
    value.flatMap { $0.isFinite ? .number($0) : nil } ?? .null
  }

  private static func object(_ matrix: MatrixVerification) -> JSONValue {
    let place = matrix.place
    return [
      "layer": place.layer.map { .integer($0) } ?? .null, "expert": place.expert.map { .integer($0) } ?? .null,
      "shared": .bool(place.isShared), "projection": .string(place.projections[0].rawValue),
      "equal": .bool(matrix.isEqual), "sqnr_db": number(matrix.decibels),
      "rounding_sqnr_db": number(matrix.expectedDecibels), "cosine": number(matrix.cosine),
      "relative_error": number(matrix.relativeError), "greatest_error": number(Double(matrix.greatest.magnitude)),
      "greatest_at": [.integer(matrix.greatest.row), .integer(matrix.greatest.column)],
      "steps": number(matrix.steps), "sibling_distance_db": number(matrix.distance),
      "flags": .array(matrix.flags.map(\.rawValue).sorted().map { .string($0) }),
      "diagnosis": matrix.diagnosis.map { ["kind": .string($0.kind.rawValue), "text": .string($0.text)] } ?? .null,
    ]
  }
}
