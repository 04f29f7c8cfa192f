// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

extension CheckReport {
  /// The completeness map: every expert of every layer, with the findings below it.
  ///
  /// - Parameter title: the checkpoint's name for people.
  public func picture(title: String) -> Picture {
    let map = CompletenessMap(self)
    let verdict = "\(count(.error)) error(s), \(count(.warning)) warning(s), \(count(.note)) note(s)"
    var picture = Picture(
      "\(title): \(isWhole ? "whole" : "not whole")",
      "\(architecture ?? "not opened"), \(layers.count) MoE layer(s): \(verdict)")
    let shown = Set(
      map.rows.flatMap { [$0.router.state] + $0.experts.map(\.state) + ($0.shared.map { [$0.state] } ?? []) })
    picture.legend = CompletenessMap.State.allCases.filter(shown.contains).map { .init($0.tone, $0.meaning) }
    if !map.rows.isEmpty {
      picture.figures = [Figure("Layers × experts (R router, S shared experts)", .grid(map.grid))]
    }
    if !findings.isEmpty {
      picture.table = Picture.Table(
        header: ["severity", "where", "what"],
        rows: groups.map { group in
          let more = group.findings.count > 1 ? " (\(group.findings.count) in all)" : ""
          return (
            group.first.severity.tone,
            [group.first.severity.rawValue, group.places, group.first.fault.description + more]
          )
        })
    }
    return picture
  }
}

extension Finding.Severity {
  fileprivate var tone: Tone {
    switch self {
    case .note: .quiet
    case .warning: .caution
    case .error: .bad
    }
  }
}

extension CompletenessMap {
  fileprivate var grid: Grid {
    func mark(_ cell: Cell, _ name: String) -> Grid.Cell {
      Grid.Cell(cell.state.tone, "\(name): " + ([cell.state.meaning] + cell.texts).joined(separator: "; "))
    }
    return Grid(
      columnName: "expert", leading: ["R", "S"],
      rows.map { row in
        let name = "layer \(row.layer)"
        return Grid.Row(
          name, leading: [mark(row.router, "\(name), router"), row.shared.map { mark($0, "\(name), shared experts") }],
          row.experts.enumerated().map { mark($1, "\(name), expert \($0)") })
      })
  }
}
