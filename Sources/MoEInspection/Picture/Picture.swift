// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A picture of numbers, declared once: drawn as SVG, as a page of HTML, or as text.
///
/// ```swift
/// var picture = Picture("Load of the experts", "Qwen3-30B-A3B, 512 tokens")
/// picture.figures = [
///   Figure("Layer 0", .bars(Bars(categories: ["rank 0", "rank 1"], series: [.init("tokens", .series(0), [310, 202])])))
/// ]
/// picture.svg      // one file that needs no other, in light and dark
/// picture.html     // the same, with tables, views to choose from, and histograms on a click
/// picture.text()   // for a terminal
/// ```
///
/// Every mark says what it stands for when the mouse rests on it.
public struct Picture: Sendable {
  public var title: String
  /// A line below the title.
  public var subtitle: String
  /// What the tones mean.
  public var legend: [LegendEntry]
  /// From top to bottom.
  public var figures: [Figure]
  /// Rows below the figures; in pages only.
  public var table: Table?

  public init(_ title: String, _ subtitle: String = "") {
    self.title = title
    self.subtitle = subtitle
    legend = []
    figures = []
  }

  public struct LegendEntry: Sendable, Hashable {
    public var tone: Tone
    public var meaning: String

    public init(_ tone: Tone, _ meaning: String) {
      self.tone = tone
      self.meaning = meaning
    }
  }

  /// Words, row by row; the tone colours the first cell.
  public struct Table: Sendable {
    public var header: [String]
    public var rows: [(tone: Tone, cells: [String])]

    public init(header: [String], rows: [(tone: Tone, cells: [String])]) {
      self.header = header
      self.rows = rows
    }
  }
}

/// A part of a picture: one drawing, or several views of the same thing to choose from.
public struct Figure: Sendable {
  /// Empty for none.
  public var heading: String
  /// The first is drawn where one can't choose.
  public var views: [View]

  public struct View: Sendable {
    /// What a reader chooses by.
    public var name: String
    public var content: Content

    public init(_ name: String, _ content: Content) {
      self.name = name
      self.content = content
    }
  }

  public enum Content: Sendable {
    case grid(Grid)
    case bars(Bars)
    case plot(Plot)
    case diagram(Diagram)
  }

  public init(_ heading: String, _ content: Content) {
    self.init(heading, views: [View("", content)])
  }

  public init(_ content: Content) { self.init("", content) }

  /// - Precondition: there is a view.
  public init(_ heading: String, views: [View]) {
    precondition(!views.isEmpty, "a figure of nothing")
    self.heading = heading
    self.views = views
  }
}

extension Figure.Content {
  /// What draws it.
  var drawing: any Drawing {
    switch self {
    case .grid(let grid): grid
    case .bars(let bars): bars
    case .plot(let plot): plot
    case .diagram(let diagram): diagram
    }
  }
}

/// A kind of figure that can be drawn.
protocol Drawing {
  /// Its height where it is `width` wide, in units of about a pixel; it may be wider than that.
  func size(width: Double) -> (width: Double, height: Double)
  /// Draws with its upper left corner at the origin.
  func draw(on canvas: inout Canvas, width: Double)
  /// At most about so many characters wide.
  func lines(width: Int) -> [String]
}
