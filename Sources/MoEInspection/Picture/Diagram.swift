// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Boxes with names, and arrows from one to another: where things stand, and what moves.
public struct Diagram: Sendable {
  /// The extent of the coordinates of boxes; they are stretched to the width of the picture.
  public var width: Double
  /// In units that are about a line of text high.
  public var height: Double
  /// Later ones cover earlier ones.
  public var boxes: [Box]
  public var arrows: [Arrow]

  public struct Box: Sendable, Hashable {
    public var x: Double
    public var y: Double
    public var width: Double
    public var height: Double
    /// In the middle of a filled box, and at the upper left of an outline.
    public var label: String
    public var tone: Tone
    public var tip: String
    public var isFlagged: Bool

    public init(
      _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ label: String = "", _ tone: Tone, tip: String = "",
      isFlagged: Bool = false
    ) {
      (self.x, self.y, self.width, self.height) = (x, y, width, height)
      self.label = label
      self.tone = tone
      self.tip = tip
      self.isFlagged = isFlagged
    }
  }

  public struct Arrow: Sendable, Hashable {
    /// From the lower edge of this box…
    public var from: Int
    /// …to the upper edge of this one.
    public var to: Int
    public var tone: Tone
    public var tip: String

    public init(from: Int, to: Int, _ tone: Tone, tip: String) {
      self.from = from
      self.to = to
      self.tone = tone
      self.tip = tip
    }
  }

  public init(width: Double, height: Double, boxes: [Box], arrows: [Arrow] = []) {
    self.width = width
    self.height = height
    self.boxes = boxes
    self.arrows = arrows
  }
}

// MARK: - SVG

extension Diagram: Drawing {
  /// Units of the picture for a unit of height, and the least for a unit of width.
  private static let (line, leastColumn) = (22.0, 3.0)

  private func column(_ width: Double) -> Double { max(Self.leastColumn, width / max(1, self.width)) }

  func size(width: Double) -> (width: Double, height: Double) {
    (column(width) * self.width, height * Self.line)
  }

  func draw(on canvas: inout Canvas, width: Double) {
    let column = column(width)
    for box in boxes {
      let (x, y, w, h) = (box.x * column, box.y * Self.line, box.width * column, box.height * Self.line)
      let isOutline = box.tone == .outline
      // Boxes that touch keep a hair between them.
      let gap = isOutline ? 0 : min(1.5, w * 0.15)
      canvas.rectangle(
        x, y, w - gap, h - gap, box.tone.name + (box.isFlagged ? " flag" : ""), radius: isOutline ? 5 : w > 8 ? 2 : 0,
        tip: box.tip)
      if isOutline {
        canvas.text(x + 8, y + 15, box.label, "small soft")
      } else if Canvas.width(of: box.label) * 0.85 < w {
        canvas.text(
          x + (w - gap) / 2, y + h / 2 + 3.5, box.label, box.tone.isStrong ? "middle small on" : "middle small")
      }
    }
    for arrow in arrows where boxes.indices.contains(arrow.from) && boxes.indices.contains(arrow.to) {
      let (a, b) = (boxes[arrow.from], boxes[arrow.to])
      canvas.arrow(
        from: ((a.x + a.width / 2) * column, (a.y + a.height) * Self.line),
        to: ((b.x + b.width / 2) * column, b.y * Self.line), arrow.tone.name, tip: arrow.tip)
    }
  }
}

extension Tone {
  /// Whether words on it are white.
  fileprivate var isStrong: Bool {
    switch self {
    case .good, .values, .wrong, .bad, .series: true
    case .quiet, .caution, .outline: false
    case .level(let share): share > 0.5
    case .deviation(let share): abs(share) > 0.6
    }
  }
}

// MARK: - Text

extension Diagram {
  func lines(width: Int) -> [String] {
    // A unit takes two characters, or there is no room for frames.
    let columns = min(max(width, Int(2 * self.width)), 160)
    let hasFrames = Double(columns) >= 1.9 * self.width
    func place(_ x: Double) -> Int { Int((x / max(1, self.width) * Double(columns - 1)).rounded()) }
    var canvas = TextCanvas(width: columns, height: Int(height.rounded(.up)) + 1)
    for box in boxes {
      let (left, right) = (place(box.x), max(place(box.x), place(box.x + box.width) - 1))
      let (top, bottom) = (Int(box.y.rounded()), Int((box.y + box.height).rounded()) - 1)
      guard top <= bottom else { continue }
      if box.tone == .outline {
        if hasFrames, bottom > top { canvas.frame(left...right, top...bottom) }
        canvas.put(box.label, left + (hasFrames ? 2 : 0), top)
      } else {
        for row in top...bottom { for column in left...right { canvas.put(box.tone.fill, column, row) } }
        let text = (box.isFlagged ? "*" : "") + box.label
        if text.count <= right - left + 1 {
          canvas.put(text, left + (right - left + 1 - text.count) / 2, (top + bottom) / 2)
        }
      }
    }
    let moves = arrows.prefix(24).map { "→ " + $0.tip }
    return canvas.lines + moves + (arrows.count > 24 ? ["→ and \(arrows.count - 24) more"] : [])
  }
}

extension Tone {
  /// What a box is filled with: names must be readable in it.
  fileprivate var fill: Character {
    switch self {
    case .series: " "
    case .quiet: "░"
    default: character
    }
  }
}
