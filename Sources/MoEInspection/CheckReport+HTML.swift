// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import MoE
internal import Tensors

extension CheckReport {
  /// The completeness map, layer × expert, and the findings below it: one file that needs no other.
  ///
  /// - Parameter title: the checkpoint's name for people.
  public func html(title: String) -> String {
    let map = CompletenessMap(self)
    let verdict = "\(count(.error)) error(s), \(count(.warning)) warning(s), \(count(.note)) note(s)"
    let list = groups.map { group in
      let fault = group.first.fault
      let more = group.findings.count > 1 ? " (\(group.findings.count) in all)" : ""
      return
        "<tr class=\"\(group.first.severity)\"><td>\(group.first.severity)</td><td>\(Self.escaped(group.places))</td>"
        + "<td>\(Self.escaped(fault.description + more))</td></tr>\n"
    }.joined()
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <title>\(Self.escaped(title)): completeness</title>
      <style>
      body { font: 14px sans-serif; margin: 24px; color: #222; background: #fff }
      .map { overflow-x: auto }
      table { border-collapse: collapse; margin-top: 16px }
      td { padding: 2px 12px 2px 0; vertical-align: top; border-top: 1px solid #e4e4e4 }
      .error td:first-child { color: #c8322b; font-weight: bold }
      .warning td:first-child { color: #9a6b00 }
      \(CompletenessMap.State.allCases.map { ".\($0) { fill: \($0.color) }" }.joined(separator: "\n"))
      </style>
      </head>
      <body>
      <h1>\(Self.escaped(title))</h1>
      <p>\(Self.escaped(architecture ?? "not opened")), \(layers.count) MoE layer(s): \(verdict)</p>
      <div class="map">
      \(map.svg)</div>
      <table>
      \(list)</table>
      </body>
      </html>

      """
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}

extension CompletenessMap {
  private static let (left, top, rowHeight) = (64, 56, 12)

  /// Wide enough to be hit with a mouse, and narrow enough that 256 experts are seen at once.
  private var cellWidth: Int { min(24, max(5, 1400 / max(1, rows.map(\.experts.count).max() ?? 0))) }

  /// Rows are layers; the columns are the router, the shared experts and the experts.
  var svg: String {
    let (left, top, rowHeight, width) = (Self.left, Self.top, Self.rowHeight, cellWidth)
    let first = left + 2 * 14 + 8
    let expertCount = rows.map(\.experts.count).max() ?? 0
    let right = max(first + expertCount * width, left + 900)
    var body = legend
    for expert in Swift.stride(from: 0, to: expertCount, by: max(1, (40 + width - 1) / width)) {
      body += "<text x=\"\(first + expert * width)\" y=\"\(top - 4)\">\(expert)</text>\n"
    }
    body += "<text x=\"\(left)\" y=\"\(top - 4)\">R</text><text x=\"\(left + 14)\" y=\"\(top - 4)\">S</text>\n"
    for (index, row) in rows.enumerated() {
      let y = top + index * rowHeight
      body += "<text x=\"\(left - 6)\" y=\"\(y + 9)\" text-anchor=\"end\">layer \(row.layer)</text>\n"
      body += rectangle(row.router, left, y, 12, "layer \(row.layer), router")
      if let shared = row.shared { body += rectangle(shared, left + 14, y, 12, "layer \(row.layer), shared experts") }
      for (expert, cell) in row.experts.enumerated() {
        body += rectangle(cell, first + expert * width, y, width - 1, "layer \(row.layer), expert \(expert)")
      }
    }
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(right)" height="\(top + rows.count * rowHeight + 8)" \
      font-family="sans-serif" font-size="9">
      \(body)</svg>

      """
  }

  private func rectangle(_ cell: Cell, _ x: Int, _ y: Int, _ width: Int, _ name: String) -> String {
    let text = ([cell.state.meaning] + cell.texts).joined(separator: "; ")
    return "<rect class=\"\(cell.state)\" x=\"\(x)\" y=\"\(y)\" width=\"\(width)\" height=\"\(Self.rowHeight - 1)\">"
      + "<title>\(name): \(CheckReport.escaped(text))</title></rect>\n"
  }

  private var legend: String {
    var body = ""
    for (index, state) in State.allCases.enumerated() {
      let x = Self.left + index * 140
      body += "<rect class=\"\(state)\" x=\"\(x)\" y=\"8\" width=\"11\" height=\"11\"/>"
      body += "<text x=\"\(x + 15)\" y=\"17\">\(state.meaning)</text>\n"
    }
    return body + "<text x=\"\(Self.left)\" y=\"36\">R router, S shared experts, then the experts by number</text>\n"
  }
}
