// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE
internal import Tensors

/// The state of every expert of every layer: what the picture of a check shows.
struct CompletenessMap {
  /// The better first.
  enum State: String, CaseIterable {
    case whole, unread, warning, values, wrong, missing

    var meaning: String {
      switch self {
      case .whole: "whole"
      case .unread: "there; values not read"
      case .warning: "warning"
      case .values: "wrong values"
      case .wrong: "wrong type or shape, extra or twice"
      case .missing: "tensors missing"
      }
    }

    var tone: Tone {
      switch self {
      case .whole: .good
      case .unread: .quiet
      case .warning: .caution
      case .values: .values
      case .wrong: .wrong
      case .missing: .bad
      }
    }

    fileprivate var rank: Int { Self.allCases.firstIndex(of: self)! }
  }

  struct Cell {
    var state: State
    /// What is wrong.
    var texts: [String] = []

    fileprivate mutating func add(_ finding: Finding) {
      guard finding.severity > .note else { return }
      let state = CompletenessMap.state(of: finding)
      if state.rank > self.state.rank { self.state = state }
      // The rest is in the list below.
      if texts.count < 4 { texts.append(finding.fault.message) }
    }
  }

  struct Row {
    var layer: Int
    /// The router and whatever else belongs to no expert.
    var router: Cell
    /// nil where there are none.
    var shared: Cell?
    var experts: [Cell]
  }

  private(set) var rows: [Row]

  init(_ report: CheckReport) {
    let byLayer = Dictionary(grouping: report.findings) { $0.place.layer ?? -1 }
    rows = report.layers.map { layer in
      let findings = byLayer[layer.index] ?? []
      let usual = Cell(state: layer.isRead ? .whole : .unread)
      let count = max(layer.expertCount ?? 0, (findings.compactMap(\.place.expert).max() ?? -1) + 1)
      var row = Row(
        layer: layer.index, router: usual,
        shared: layer.hasSharedExperts || findings.contains { $0.place.isShared } ? usual : nil,
        experts: Array(repeating: usual, count: min(count, Self.expertLimit)))
      for finding in findings {
        if finding.place.isShared {
          row.shared!.add(finding)
        } else if let expert = finding.place.expert {
          if row.experts.indices.contains(expert) { row.experts[expert].add(finding) }
        } else if finding.place.projections.isEmpty {
          row.router.add(finding)
        } else {
          // A tensor that holds all experts.
          for expert in row.experts.indices { row.experts[expert].add(finding) }
        }
      }
      return row
    }
  }

  /// More than any model has; a configuration may say anything.
  private static let expertLimit = 4096

  fileprivate static func state(of finding: Finding) -> State {
    guard finding.severity == .error else { return .warning }
    switch finding.fault.code {
    case .missingTensor: return .missing
    case .invalidValue: return .values
    default: return .wrong
    }
  }
}
