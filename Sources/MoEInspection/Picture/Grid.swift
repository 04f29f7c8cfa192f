// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Cells in rows and columns: a map of layers × experts, or any other matrix.
public struct Grid: Sendable {
  /// Named columns that stand before the numbered ones, such as a router's.
  public var leading: [String]
  public var rows: [Row]
  /// What the numbered columns are, for example `expert`.
  public var columnName: String

  public struct Row: Sendable {
    public var name: String
    /// Of the leading columns; nil where there is nothing.
    public var leading: [Cell?]
    public var cells: [Cell]

    public init(_ name: String, leading: [Cell?] = [], _ cells: [Cell]) {
      self.name = name
      self.leading = leading
      self.cells = cells
    }
  }

  public struct Cell: Sendable {
    public var tone: Tone
    /// What it says when the mouse rests on it.
    public var tip: String
    /// Whether it is drawn to stand out.
    public var isFlagged: Bool
    /// Shown on a click, in pages.
    public var histogram: Histogram?

    public init(_ tone: Tone, _ tip: String, isFlagged: Bool = false, histogram: Histogram? = nil) {
      self.tone = tone
      self.tip = tip
      self.isFlagged = isFlagged
      self.histogram = histogram
    }
  }

  public init(columnName: String = "", leading: [String] = [], _ rows: [Row]) {
    self.columnName = columnName
    self.leading = leading
    self.rows = rows
  }

  /// Numbered columns.
  var columnCount: Int { rows.map(\.cells.count).max() ?? 0 }
}

// MARK: - SVG

extension Grid: Drawing {
  private static let (top, leadingWidth) = (22.0, 16.0)

  private var left: Double { 14 + (rows.map { Canvas.width(of: $0.name) }.max() ?? 0) }
  private var first: Double { left + (leading.isEmpty ? 0 : Double(leading.count) * Self.leadingWidth + 8) }

  /// Wide enough to be hit with a mouse, and narrow enough that hundreds of experts are seen at once.
  private func cellWidth(_ width: Double) -> Double {
    min(28, max(4, ((width - first) / Double(max(1, columnCount)) * 2).rounded(.down) / 2))
  }

  private var rowHeight: Double { rows.count > 40 ? 13 : rows.count > 12 ? 17 : 22 }

  func size(width: Double) -> (width: Double, height: Double) {
    (first + Double(columnCount) * cellWidth(width), Self.top + Double(rows.count) * rowHeight + 4)
  }

  func draw(on canvas: inout Canvas, width: Double) {
    let cell = cellWidth(width)
    for (index, name) in leading.enumerated() {
      canvas.text(left + (Double(index) + 0.5) * Self.leadingWidth - 1, Self.top - 7, name, "small soft middle")
    }
    let step = Self.labelStep(cell)
    for column in stride(from: 0, to: columnCount, by: step) {
      canvas.text(first + (Double(column) + 0.5) * cell, Self.top - 7, "\(column)", "small soft middle")
    }
    let gap = cell < 7 ? 0.5 : 1.5
    for (index, row) in rows.enumerated() {
      let y = Self.top + Double(index) * rowHeight
      canvas.text(left - 8, y + rowHeight / 2 + 4, row.name, "end")
      for (place, mark) in row.leading.enumerated() {
        guard let mark else { continue }
        put(mark, on: &canvas, left + Double(place) * Self.leadingWidth, y, Self.leadingWidth - 2, gap)
      }
      for (column, mark) in row.cells.enumerated() {
        put(mark, on: &canvas, first + Double(column) * cell, y, cell - gap, gap)
      }
    }
  }

  private func put(_ cell: Cell, on canvas: inout Canvas, _ x: Double, _ y: Double, _ width: Double, _ gap: Double) {
    canvas.rectangle(
      x, y, width, rowHeight - gap, cell.tone.name + (cell.isFlagged ? " flag" : ""), radius: width > 8 ? 2 : 0,
      tip: cell.tip, attributes: cell.histogram?.attributes ?? "")
  }

  /// Columns from one label to the next: a power of two.
  private static func labelStep(_ cell: Double) -> Int {
    var step = 1
    while Double(step) * cell < 26 { step *= 2 }
    return step
  }
}

// MARK: - Text

extension Grid {
  func lines(width: Int) -> [String] {
    let names = rows.map(\.name.count).max() ?? 0
    let before = names + 1 + (leading.isEmpty ? 0 : leading.count + 1)
    let share = max(1, (columnCount + width - before - 1) / max(1, width - before))
    var labels = Array(repeating: Character(" "), count: before + (columnCount + share - 1) / share + 6)
    for (index, name) in leading.enumerated() { labels[names + 1 + index] = name.first ?? " " }
    var step = share
    while step < 8 * share { step *= 2 }
    for column in stride(from: 0, to: columnCount, by: step) {
      for (offset, character) in "\(column)".enumerated() { labels[before + column / share + offset] = character }
    }
    let note =
      share == 1 ? [] : ["a character stands for \(share) \(columnName.isEmpty ? "column" : columnName)s: the worst"]
    return [String(labels)]
      + rows.map { row in
        var line = row.name.padded(before: names) + " "
        if !leading.isEmpty {
          line += String(leading.indices.map { $0 < row.leading.count ? row.leading[$0]?.character ?? " " : " " }) + " "
        }
        for start in stride(from: 0, to: row.cells.count, by: share) {
          let cells = row.cells[start..<min(start + share, row.cells.count)]
          line.append(cells.max { $0.weight < $1.weight }!.character)
        }
        return line
      } + note
  }
}

extension Grid.Cell {
  fileprivate var character: Character { isFlagged && tone.weight <= 1 ? "!" : tone.character }
  fileprivate var weight: Double { isFlagged ? max(2, tone.weight) : tone.weight }
}
