// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEInspection

/// The result of `moe verify`, for people.
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
      name, matrix.isEqual ? "equal" : matrix.flags.contains(.notFinite) ? "nan" : Format.fixed(matrix.decibels, 1),
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
