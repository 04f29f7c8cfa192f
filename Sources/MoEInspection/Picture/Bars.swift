// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Numbers of several things of one kind, side by side: the loads of ranks, before and after.
public struct Bars: Sendable {
  public var categories: [String]
  public var series: [Series]
  public var axis: Axis
  /// Numbers to hold the bars against.
  public var references: [(name: String, value: Double)]

  public struct Series: Sendable {
    public var name: String
    public var tone: Tone
    /// One for each category.
    public var values: [Double]
    /// What is added to and taken from a value by its error bar; empty for none.
    public var errors: [Double]

    public init(_ name: String, _ tone: Tone, _ values: [Double], errors: [Double] = []) {
      self.name = name
      self.tone = tone
      self.values = values
      self.errors = errors
    }
  }

  public init(
    categories: [String], series: [Series], axis: Axis = Axis(""), references: [(name: String, value: Double)] = []
  ) {
    self.categories = categories
    self.series = series
    self.axis = axis
    self.references = references
  }

  private var scale: Scale {
    let ends = series.flatMap { series in
      series.values.enumerated().map { $1 + (series.errors.indices.contains($0) ? series.errors[$0] : 0) }
    }
    return Scale(axis, ends + references.map(\.value), fromZero: true)
  }
}

// MARK: - SVG

extension Bars: Drawing {
  private static let (left, top, plotHeight, bottom) = (70.0, 26.0, 230.0, 26.0)

  /// Of a category: bars stay wide enough to be hit.
  private func step(_ width: Double) -> Double {
    max(Double(series.count) * 3 + 2, (width - Self.left) / Double(max(1, categories.count)))
  }

  func size(width: Double) -> (width: Double, height: Double) {
    (Self.left + Double(categories.count) * step(width), Self.top + Self.plotHeight + Self.bottom)
  }

  func draw(on canvas: inout Canvas, width: Double) {
    let scale = scale
    let step = step(width)
    let right = Self.left + Double(categories.count) * step
    func y(_ value: Double) -> Double { Self.top + (1 - scale.share(value)) * Self.plotHeight }
    canvas.text(Self.left, Self.top - 12, axis.name, "soft")
    for tick in scale.ticks(5) {
      canvas.line(Self.left, y(tick), right, y(tick), "rule")
      canvas.text(Self.left - 8, y(tick) + 4, axis.unit.text(tick), "end soft small")
    }
    let gap = min(step * 0.25, 12)
    let bar = (step - gap) / Double(max(1, series.count))
    for (index, category) in categories.enumerated() {
      let x = Self.left + Double(index) * step + gap / 2
      for (place, series) in series.enumerated() where series.values.indices.contains(index) {
        let (value, left) = (series.values[index], x + Double(place) * bar)
        let name = series.name.isEmpty ? category : "\(category), \(series.name)"
        let error = series.errors.indices.contains(index) ? series.errors[index] : 0
        let tip = "\(name): \(axis.unit.text(value))" + (error > 0 ? " ± \(axis.unit.text(error))" : "")
        canvas.rectangle(
          left, min(y(value), y(0)), bar - min(1, bar * 0.15), abs(y(0) - y(value)), series.tone.name,
          radius: bar > 8 ? 2 : 0, tip: tip)
        if error > 0 {
          let middle = left + bar / 2
          canvas.line(middle, y(value - error), middle, y(value + error), "axis")
        }
      }
    }
    let every = max(1, Int(((categories.map { Canvas.width(of: $0) }.max() ?? 0) + 8) / step) + 1)
    for index in stride(from: 0, to: categories.count, by: every) {
      canvas.text(
        Self.left + (Double(index) + 0.5) * step, Self.top + Self.plotHeight + 17, categories[index],
        "middle small soft")
    }
    canvas.line(Self.left, y(0), right, y(0), "axis")
    for reference in references {
      canvas.line(Self.left, y(reference.value), right, y(reference.value), "limit")
      canvas.text(right, y(reference.value) - 5, reference.name, "end small")
    }
  }
}

// MARK: - Text

extension Bars {
  func lines(width: Int) -> [String] {
    let names = categories.map(\.count).max() ?? 0
    let numbers = series.flatMap { $0.values.map { axis.unit.text($0).count } }.max() ?? 0
    let room = max(8, width - names - numbers - 3)
    let greatest = max(scale.range.upperBound, .leastNonzeroMagnitude)
    var lines: [String] = series.count < 2 ? [] : [series.map { "\($0.tone.bar) \($0.name)" }.joined(separator: "   ")]
    for (index, category) in categories.enumerated() {
      for (place, series) in series.enumerated() where series.values.indices.contains(index) {
        let value = series.values[index]
        let length = Int((max(0, value) / greatest * Double(room)).rounded())
        lines.append(
          (place == 0 ? category : "").padded(before: names) + " "
            + String(repeating: String(series.tone.bar), count: length) + " " + axis.unit.text(value))
      }
    }
    return lines + references.map { "\($0.name): \(axis.unit.text($0.value))" }
  }
}

extension Tone {
  /// What a bar of text is made of.
  fileprivate var bar: Character {
    if case .series(let number) = self { return Array("█▒░▓")[(number % 4 + 4) % 4] }
    return self == .quiet ? "░" : "█"
  }
}
