// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Picture {
  /// Units that a picture is wide, where nothing in it is wider.
  static let width = 960.0
  private static let margin = 24.0

  /// The picture as one SVG file.
  public var svg: String {
    var canvas = Canvas()
    var y = Self.margin + 10
    canvas.text(Self.margin, y, title, "title")
    if !subtitle.isEmpty {
      y += 20
      canvas.text(Self.margin, y, subtitle, "soft")
    }
    y += 14
    if !legend.isEmpty {
      canvas.move(to: Self.margin, y)
      y += Self.draw(legend, on: &canvas, width: Self.width - 2 * Self.margin) + 10
    }
    var right = Self.width
    for figure in figures {
      if !figure.heading.isEmpty {
        canvas.move(to: 0, 0)
        y += 18
        canvas.text(Self.margin, y, figure.heading, "heading")
        y += 10
      }
      let drawing = figure.views[0].content.drawing
      let size = drawing.size(width: Self.width - 2 * Self.margin)
      canvas.move(to: Self.margin, y)
      drawing.draw(on: &canvas, width: Self.width - 2 * Self.margin)
      y += size.height + 14
      right = max(right, size.width + 2 * Self.margin)
    }
    return Self.document(canvas, width: right, height: y + 6, style: StyleSheet.text)
  }

  /// The legend's height: as many lines as it takes.
  static func draw(_ legend: [LegendEntry], on canvas: inout Canvas, width: Double) -> Double {
    var (x, y) = (0.0, 0.0)
    for entry in legend {
      let length = 34 + Canvas.width(of: entry.meaning)
      if x > 0, x + length > width { (x, y) = (0, y + 20) }
      canvas.rectangle(x, y, 12, 12, "\(entry.tone.name)", radius: 2)
      canvas.text(x + 18, y + 10.5, entry.meaning)
      x += length
    }
    return y + 16
  }

  /// - Parameter style: empty within a page that has it.
  static func document(_ canvas: Canvas, width: Double, height: Double, style: String) -> String {
    let (width, height) = (Int(width.rounded(.up)), Int(height.rounded(.up)))
    let ground =
      style.isEmpty ? "" : "<style>\n\(style)\n</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n"
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)">
      \(ground)\(canvas.body)</svg>

      """
  }
}
