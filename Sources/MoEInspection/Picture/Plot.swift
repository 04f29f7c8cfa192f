// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Numbers over numbers: lines, steps, areas and points on two axes.
public struct Plot: Sendable {
  public var x: Axis
  public var y: Axis
  public var series: [Series]
  /// Levels to hold the series against.
  public var references: [(name: String, value: Double)]

  public enum Style: Sendable, Hashable {
    case line
    /// A value holds until the next.
    case step
    /// A line above a filled ground.
    case fill
    /// A step above a filled ground.
    case area
    case points
  }

  public struct Point: Sendable, Hashable {
    public var x: Double
    public var y: Double
    /// Stands beside it.
    public var label: String
    /// nil for the numbers.
    public var tip: String?

    public init(_ x: Double, _ y: Double, label: String = "", tip: String? = nil) {
      self.x = x
      self.y = y
      self.label = label
      self.tip = tip
    }
  }

  public struct Series: Sendable {
    public var name: String
    public var tone: Tone
    public var style: Style
    public var points: [Point]

    public init(_ name: String, _ tone: Tone, _ style: Style, _ points: [Point]) {
      self.name = name
      self.tone = tone
      self.style = style
      self.points = points
    }
  }

  public init(
    x: Axis, y: Axis, series: [Series], references: [(name: String, value: Double)] = []
  ) {
    self.x = x
    self.y = y
    self.series = series
    self.references = references
  }

  /// Of what can be drawn.
  private var scales: (x: Scale, y: Scale) {
    let points = series.flatMap(\.points)
    return (
      Scale(x, points.map(\.x)),
      Scale(y, points.map(\.y) + references.map(\.value), fromZero: series.contains { $0.style.isFilled })
    )
  }
}

extension Plot.Style {
  fileprivate var isFilled: Bool { self == .area || self == .fill }
}

extension Plot.Series {
  /// The corners of the line.
  fileprivate var corners: [(x: Double, y: Double)] {
    let points = points.map { (x: $0.x, y: $0.y) }
    guard style == .step || style == .area else { return points }
    return points.indices.flatMap { index in
      index == 0 ? [points[0]] : [(x: points[index].x, y: points[index - 1].y), points[index]]
    }
  }
}

// MARK: - SVG

extension Plot: Drawing {
  private static let (left, top, plotHeight, bottom) = (70.0, 26.0, 300.0, 44.0)

  func size(width: Double) -> (width: Double, height: Double) {
    (width, Self.top + Self.plotHeight + Self.bottom)
  }

  func draw(on canvas: inout Canvas, width: Double) {
    let (xScale, yScale) = scales
    let right = width - 24
    func place(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
      (Self.left + xScale.share(x) * (right - Self.left), Self.top + (1 - yScale.share(y)) * Self.plotHeight)
    }
    let floor = Self.top + Self.plotHeight
    for tick in xScale.ticks(8) {
      let x = place(tick, yScale.range.lowerBound).x
      canvas.line(x, Self.top, x, floor, "rule")
      canvas.text(x, floor + 16, self.x.unit.text(tick), "middle small soft")
    }
    for tick in yScale.ticks(6) {
      let y = place(xScale.range.lowerBound, tick).y
      canvas.line(Self.left, y, right, y, "rule")
      canvas.text(Self.left - 8, y + 4, self.y.unit.text(tick), "end small soft")
    }
    canvas.line(Self.left, floor, right, floor, "axis")
    canvas.text(Self.left, Self.top - 12, y.name, "soft")
    canvas.text(right, floor + 34, x.name, "end soft")
    let ground = place(xScale.range.lowerBound, max(0, yScale.range.lowerBound)).y
    for series in series { draw(series, on: &canvas, ground: ground, place) }
    for reference in references {
      let y = place(xScale.range.lowerBound, reference.value).y
      canvas.line(Self.left, y, right, y, "limit")
      canvas.text(right, y - 5, reference.name, "end small")
    }
    var labels = Labels()
    for series in series {
      for point in series.points where !point.label.isEmpty {
        let (x, y) = place(point.x, point.y)
        labels.put(point.label, beside: (x, y), right: width, on: &canvas)
      }
    }
  }

  private func draw(
    _ series: Series, on canvas: inout Canvas, ground: Double, _ place: (Double, Double) -> (x: Double, y: Double)
  ) {
    let name = series.tone.name
    let corners = series.corners.map { place($0.x, $0.y) }
    if series.style.isFilled, let first = corners.first, let last = corners.last {
      canvas.path(
        [(x: first.x, y: ground)] + corners + [(x: last.x, y: ground)], "\(name) area", isClosed: true, tip: series.name
      )
    }
    if series.style != .points { canvas.path(corners, "line \(name)", tip: series.name) }
    for point in series.points where series.style == .points || series.points.count <= 64 {
      let (x, y) = place(point.x, point.y)
      let tip = point.tip ?? "\(series.name): \(self.x.unit.text(point.x)), \(self.y.unit.text(point.y))"
      canvas.circle(x, y, series.style == .points ? 5 : 2.5, "\(name) point", tip: tip)
    }
  }

  /// Words beside points, where no others stand.
  private struct Labels {
    private var taken: [(x: ClosedRange<Double>, y: ClosedRange<Double>)] = []

    mutating func put(_ text: String, beside point: (x: Double, y: Double), right: Double, on canvas: inout Canvas) {
      let width = Canvas.width(of: text)
      let isLeft = point.x + 10 + width > right
      let x = isLeft ? point.x - 10 - width : point.x + 10
      for offset in [4.0, 18, -10, 32, -24, 46, -38] {
        let y = point.y + offset
        let box = (x: x...x + width, y: y - 11...y + 4)
        guard !taken.contains(where: { $0.x.overlaps(box.x) && $0.y.overlaps(box.y) }) else { continue }
        taken.append(box)
        canvas.text(isLeft ? point.x - 10 : x, y, text, isLeft ? "end" : "")
        return
      }
    }
  }
}

// MARK: - Text

extension Plot {
  func lines(width: Int) -> [String] {
    let (xScale, yScale) = scales
    let (columns, rows, left) = (min(width, 110) - 11, 16, 10)
    var canvas = TextCanvas(width: columns + 1, height: rows)
    func cell(_ x: Double, _ y: Double) -> (column: Int, row: Int) {
      let share = (xScale.share(x), yScale.share(y))
      guard share.0.isFinite, share.1.isFinite else { return (-1, -1) }
      return (Int((share.0 * Double(columns)).rounded()), rows - 1 - Int((share.1 * Double(rows - 1)).rounded()))
    }
    for reference in references {
      for column in 0...columns { canvas.put("┄", column, cell(xScale.range.lowerBound, reference.value).row) }
    }
    for series in series where series.style != .points { draw(series, on: &canvas, cell) }
    for series in series where series.style == .points {
      for point in series.points {
        let (column, row) = cell(point.x, point.y)
        canvas.put(series.tone.character, column, row)
      }
    }
    let high = y.unit.text(yScale.range.upperBound), low = y.unit.text(yScale.range.lowerBound)
    let body = canvas.lines.enumerated().map { row, line in
      (row == 0 ? high : row == rows - 1 ? low : "").padded(before: left - 1) + " │" + line
    }
    let (first, last) = (x.unit.text(xScale.range.lowerBound), x.unit.text(xScale.range.upperBound))
    let marks =
      series.map { "\($0.tone.character) \($0.name)" } + references.map { "┄ \($0.name) \(y.unit.text($0.value))" }
    return (y.name.isEmpty ? [] : [y.name]) + body + [
      String(repeating: " ", count: left) + "└" + String(repeating: "─", count: columns),
      String(repeating: " ", count: left + 1) + first + " "
        + (x.name + " " + last).padded(before: max(0, columns - first.count - 1)),
      String(repeating: " ", count: left + 1) + marks.joined(separator: "   "),
    ]
  }

  /// A mark in every column that the line passes.
  private func draw(_ series: Series, on canvas: inout TextCanvas, _ cell: (Double, Double) -> (column: Int, row: Int))
  {
    let corners = series.corners.map { cell($0.x, $0.y) }
    for (a, b) in zip(corners, corners.dropFirst()) {
      let count = max(abs(b.column - a.column), abs(b.row - a.row), 1)
      for step in 0...count {
        let share = Double(step) / Double(count)
        canvas.put(
          series.tone.character, a.column + Int((Double(b.column - a.column) * share).rounded()),
          a.row + Int((Double(b.row - a.row) * share).rounded()))
      }
    }
  }
}
