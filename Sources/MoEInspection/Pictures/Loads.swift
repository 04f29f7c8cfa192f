// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc

extension Picture {
  /// How much each expert of each layer has to do, against the mean of its layer.
  ///
  /// ```swift
  /// let picture = Picture.loadHeatmap("Load", "trace.moetrace", layers: [0, 1], loads: [[3, 1, 0], [2, 2, 0]])
  /// ```
  ///
  /// - Parameters:
  ///   - title: what stands above it.
  ///   - subtitle: a line below that.
  ///   - layers: the number of each row.
  ///   - loads: tokens of each expert, `[layers][experts]`; experts logical or physical, as `columnName` says.
  ///   - columnName: `expert` or `slot`.
  public static func loadHeatmap(
    _ title: String, _ subtitle: String = "", layers: [Int], loads: [[Double]], columnName: String = "expert"
  ) -> Self {
    /// The share of the mean, from an eighth of it to eight times.
    func cell(_ load: Double, mean: Double, _ name: String) -> Grid.Cell {
      guard load > 0, mean > 0 else { return Grid.Cell(.quiet, "\(name): 0") }
      let ratio = load / mean
      return Grid.Cell(
        .deviation(max(-1, min(1, log2(ratio) / 3))),
        "\(name): \(Axis.Unit.number.text(load)), \(Format.short(ratio)) × the mean")
    }
    func grid(_ order: ([Double]) -> [Int]) -> Grid {
      Grid(
        columnName: columnName,
        zip(layers, loads).map { layer, loads in
          let mean = loads.isEmpty ? 0 : loads.reduce(0, +) / Double(loads.count)
          return Grid.Row(
            "layer \(layer)", order(loads).map { cell(loads[$0], mean: mean, "layer \(layer), \(columnName) \($0)") })
        })
    }
    var picture = Self(title, subtitle)
    picture.legend = [
      .init(.quiet, "never chosen"), .init(.deviation(-1), "1/8 of the mean or less"), .init(.deviation(0), "the mean"),
      .init(.deviation(1), "8 × the mean or more"),
    ]
    picture.figures = [
      Figure(
        "Layers × \(columnName)s",
        views: [
          .init("by number", .grid(grid { Array($0.indices) })),
          .init(
            "sorted", .grid(grid { loads in loads.indices.sorted { (loads[$1], $0) < (loads[$0], $1) } })),
        ]),
      Figure(
        "Greatest load of each layer, in means",
        .bars(
          Bars(
            categories: layers.map { "layer \($0)" }, series: [.init("", .series(1), loads.map(imbalance))],
            references: [("even", 1)]))),
    ]
    return picture
  }

  /// Loads of ranks before and after balancing, and how far the busiest is from the mean.
  ///
  /// - Parameters:
  ///   - title: what stands above it.
  ///   - subtitle: a line below that.
  ///   - before: tokens of each rank.
  ///   - after: of the same ranks, or empty for no second set of bars.
  ///   - deviations: of each, over windows of the trace; empty for none.
  ///   - unit: what is counted, for the axis.
  public static func rankLoads(
    _ title: String, _ subtitle: String = "", before: [Double], after: [Double] = [],
    deviations: (before: [Double], after: [Double]) = ([], []), unit: String = "tokens"
  ) -> Self {
    let sets =
      after.isEmpty
      ? [("load", before, deviations.before)]
      : [
        ("before", before, deviations.before), ("after", after, deviations.after),
      ]
    let tones: [Tone] = after.isEmpty ? [.series(0)] : [.quiet, .series(0)]
    var picture = Self(title, subtitle)
    picture.legend = zip(sets, tones).map { set, tone in
      .init(tone, "\(set.0): busiest rank \(Format.fixed(imbalance(set.1), 2)) × the mean")
    }
    let mean = before.isEmpty ? 0 : before.reduce(0, +) / Double(before.count)
    picture.figures = [
      Figure(
        .bars(
          Bars(
            categories: before.indices.map { "rank \($0)" },
            series: zip(sets, tones).map { .init($0.0, $1, $0.1, errors: $0.2) }, axis: Axis(unit),
            references: [("mean", mean)])))
    ]
    return picture
  }

  /// max / mean, 1 where there is nothing.
  static func imbalance(_ loads: [Double]) -> Double {
    let sum = loads.reduce(0, +)
    return sum > 0 ? loads.max()! * Double(loads.count) / sum : 1
  }
}
