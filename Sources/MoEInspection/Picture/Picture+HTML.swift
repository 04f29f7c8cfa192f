// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Picture {
  /// The picture as one page that needs no other file, and sends for none.
  public var html: String {
    var canvas = Canvas()
    let height = Self.draw(legend, on: &canvas, width: Self.width)
    let key = legend.isEmpty ? "" : Self.document(canvas, width: Self.width, height: height, style: "")
    let parts = figures.enumerated().map { Self.section($1, number: $0) }.joined()
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <title>\(title.escaped)</title>
      <style>
      \(StyleSheet.text)
      \(Self.pageStyle)
      </style>
      </head>
      <body>
      <h1>\(title.escaped)</h1>
      <p class="subtitle">\(subtitle.escaped)</p>
      \(key)\(parts)\(table.map(Self.rows) ?? "")\(hasHistograms ? Self.script : "")</body>
      </html>

      """
  }

  private static func section(_ figure: Figure, number: Int) -> String {
    let heading = figure.heading.isEmpty ? "" : "<h2>\(figure.heading.escaped)</h2>\n"
    let isChoice = figure.views.count > 1
    let choices = figure.views.enumerated().map { index, view in
      "<input type=\"radio\" name=\"f\(number)\" id=\"f\(number)v\(index)\"\(index == 0 ? " checked" : "")>"
        + "<label for=\"f\(number)v\(index)\">\(view.name.escaped)</label>\n"
    }
    let views = figure.views.map { view -> String in
      let drawing = view.content.drawing
      let size = drawing.size(width: width)
      var canvas = Canvas()
      drawing.draw(on: &canvas, width: width)
      let svg = document(canvas, width: max(width, size.width), height: size.height, style: "")
      return "<div class=\"view\">\n\(svg)\(view.content.histogram ?? "")</div>\n"
    }
    return "<section>\n\(heading)\(isChoice ? choices.joined() : "")\(views.joined())</section>\n"
  }

  private static func rows(_ table: Table) -> String {
    let header = table.header.map { "<th>\($0.escaped)</th>" }.joined()
    let rows = table.rows.map { row in
      let cells = row.cells.enumerated().map { index, cell in
        index == 0 ? "<td><i class=\"\(row.tone.name)\"></i>\(cell.escaped)</td>" : "<td>\(cell.escaped)</td>"
      }
      return "<tr>\(cells.joined())</tr>\n"
    }
    return "<table>\n<tr>\(header)</tr>\n\(rows.joined())</table>\n"
  }

  private var hasHistograms: Bool {
    figures.contains { $0.views.contains { $0.content.histogram != nil } }
  }

  /// Of several views, the one whose button is pressed is shown: the n-th button is followed by the n-th view.
  private static let pageStyle: String = {
    let count = 12
    let shown = (1...count).map { "input:nth-of-type(\($0)):checked~.view:nth-of-type(\($0))" }.joined(separator: ",")
    let marks = ["good", "quiet", "caution", "values", "wrong", "bad"].map { "i.\($0){background:var(--\($0))}" }
    return """
      body{font:14px/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",Helvetica,Arial,sans-serif;margin:32px auto;
      max-width:max-content;padding:0 24px;color:var(--ink);background:var(--ground)}
      h1{font-size:22px;margin:0 0 2px}h2{font-size:15px;margin:22px 0 6px}.subtitle{margin:0 0 14px;color:var(--soft)}
      svg{display:block;height:auto}.view{overflow-x:auto;margin-top:6px}
      input~.view{display:none}\(shown){display:block}
      input[type=radio]{position:absolute;opacity:0}
      label{display:inline-block;padding:2px 12px;margin-right:6px;border:1px solid var(--rule);border-radius:12px;
      font-size:12px;cursor:pointer}
      :checked+label{background:var(--ink);color:var(--ground)}:focus-visible+label{outline:2px solid var(--s0)}
      table{border-collapse:collapse;margin-top:24px;width:100%;max-width:1100px}
      th{text-align:left;font-weight:600;color:var(--soft)}
      td,th{padding:5px 18px 5px 0;vertical-align:top;border-bottom:1px solid var(--rule)}td:first-child{white-space:nowrap}
      i{display:inline-block;width:10px;height:10px;border-radius:5px;margin-right:8px}\(marks.joined())
      [data-h]{cursor:pointer}.picked{stroke:var(--ink);stroke-width:2.5}
      """
  }()
}
