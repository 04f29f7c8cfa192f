// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Picture {
  /// The picture in characters, for a terminal.
  ///
  /// - Parameter width: characters of a line, about.
  public func text(width: Int = 100) -> String {
    var lines = [title] + (subtitle.isEmpty ? [] : [subtitle])
    if !legend.isEmpty {
      lines.append(legend.map { "\($0.tone.character) \($0.meaning)" }.joined(separator: "   "))
    }
    for figure in figures {
      lines.append("")
      if !figure.heading.isEmpty { lines.append(figure.heading) }
      lines += figure.views[0].content.drawing.lines(width: max(width, 40))
    }
    return lines.map { line in
      var line = Substring(line)
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

extension String {
  /// With spaces before it, to so many characters.
  func padded(before width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
  /// With spaces behind it, to so many characters.
  func padded(after width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

/// Characters in rows and columns, which later marks cover.
struct TextCanvas {
  private var cells: [[Character]]

  init(width: Int, height: Int) {
    cells = Array(repeating: Array(repeating: " ", count: width), count: height)
  }

  var lines: [String] { cells.map { String($0) } }

  mutating func put(_ character: Character, _ column: Int, _ row: Int) {
    guard cells.indices.contains(row), cells[row].indices.contains(column) else { return }
    cells[row][column] = character
  }

  mutating func put(_ text: String, _ column: Int, _ row: Int) {
    for (index, character) in text.enumerated() { put(character, column + index, row) }
  }

  mutating func frame(_ columns: ClosedRange<Int>, _ rows: ClosedRange<Int>) {
    for column in columns {
      put("─", column, rows.lowerBound)
      put("─", column, rows.upperBound)
    }
    for row in rows {
      put("│", columns.lowerBound, row)
      put("│", columns.upperBound, row)
    }
    put("┌", columns.lowerBound, rows.lowerBound)
    put("┐", columns.upperBound, rows.lowerBound)
    put("└", columns.lowerBound, rows.upperBound)
    put("┘", columns.upperBound, rows.upperBound)
  }
}
