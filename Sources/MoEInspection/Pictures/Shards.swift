// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Figure {
  /// Which rows, or columns, of a matrix each rank owns, where blocks that share a scale begin, and what is padding.
  ///
  /// - Parameters:
  ///   - extent: of the axis that is cut.
  ///   - cuts: what each rank owns.
  ///   - padding: what each rank adds to its own.
  ///   - block: neighbours that share a scale; 1 for none.
  ///   - axis: its name, for example `rows`.
  public static func shards(
    _ heading: String, extent: Int, cuts: [Range<Int>], padding: [Int], block: Int, axis: String
  ) -> Self {
    // Padding is drawn where it is, between what ranks own.
    let total = Double(cuts.reduce(0) { $0 + $1.count } + padding.reduce(0, +))
    let unit = 96 / max(1, total)
    var boxes: [Diagram.Box] = []
    var x = 0.0
    for (rank, cut) in cuts.enumerated() {
      let width = Double(cut.count) * unit
      boxes.append(
        .init(
          x, 1, width, 2, "rank \(rank)", .series(rank),
          tip: "rank \(rank): \(axis) \(cut.lowerBound)..<\(cut.upperBound) of \(extent)"))
      for first in stride(from: cut.lowerBound / block * block, to: cut.upperBound, by: block) where block > 1 {
        let part = max(first, cut.lowerBound)..<min(first + block, cut.upperBound)
        let isCut = part.count < min(block, extent - first)
        boxes.append(
          .init(
            x + Double(part.lowerBound - cut.lowerBound) * unit, 0, Double(part.count) * unit, 0.8, "",
            isCut ? .caution : .level(first / block % 2 == 0 ? 0.25 : 0.4),
            tip: "block \(first / block): \(axis) \(first)..<\(min(first + block, extent))"
              + (isCut ? ", cut: its scales are repeated" : "")))
      }
      x += width
      guard padding[rank] > 0 else { continue }
      boxes.append(
        .init(
          x, 1, Double(padding[rank]) * unit, 2, "", .quiet, tip: "rank \(rank): \(padding[rank]) \(axis) of padding"))
      x += Double(padding[rank]) * unit
    }
    return Self(heading, .diagram(Diagram(width: 96, height: 3.2, boxes: boxes)))
  }
}

extension Picture {
  /// The tones of ``Figure/shards(_:extent:cuts:padding:block:axis:)``.
  static let shardLegend: [LegendEntry] = [
    .init(.series(0), "what a rank owns"), .init(.level(0.4), "blocks that share a scale"),
    .init(.caution, "a block that is cut"),
    .init(.quiet, "padding"),
  ]
}
