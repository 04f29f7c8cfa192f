// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Picture {
  /// Speed over arithmetic intensity, below the roof of a machine: which of its two ceilings each point is near.
  ///
  /// After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009.
  ///
  /// - Parameters:
  ///   - title: what stands above it.
  ///   - subtitle: a line below that.
  ///   - bytesPerSecond: read from memory at most.
  ///   - operationsPerSecond: floating-point operations at most.
  ///   - points: what was measured: operations, bytes read and seconds, with a label.
  public static func roofline(
    _ title: String, _ subtitle: String, bytesPerSecond: Double, operationsPerSecond: Double,
    points: [(name: String, operations: Double, bytes: Double, seconds: Double)]
  ) -> Self {
    let ridge = operationsPerSecond / bytesPerSecond
    let intensities = points.map { $0.operations / $0.bytes }
    let low = min(intensities.min() ?? ridge, ridge) / 2
    let high = max(intensities.max() ?? ridge, ridge) * 4
    let slowest = points.map { $0.operations / $0.seconds }.min() ?? low * bytesPerSecond
    let roof = Plot.Series(
      "roof", .series(7), .line,
      [
        .init(low, low * bytesPerSecond),
        .init(ridge, operationsPerSecond, tip: "from \(Format.short(ridge)) FLOP per byte on, arithmetic is the limit"),
        .init(high, operationsPerSecond),
      ])
    let measured = points.map { point -> Plot.Point in
      let (intensity, speed) = (point.operations / point.bytes, point.operations / point.seconds)
      let share = speed / min(operationsPerSecond, intensity * bytesPerSecond)
      return .init(
        intensity, speed, label: "\(point.name): \(Format.fixed(100 * share, 0)) %",
        tip: "\(point.name): \(Format.short(speed / 1e9)) GFLOP/s, \(Format.rate(point.bytes / point.seconds)), "
          + "\(Format.fixed(100 * share, 0)) % of what the machine can do at \(Format.short(intensity)) FLOP per byte")
    }
    var picture = Self(title, subtitle)
    picture.legend = [
      .init(
        .series(7), "the machine: \(Format.rate(bytesPerSecond)), \(Format.short(operationsPerSecond / 1e9)) GFLOP/s"),
      .init(.series(0), "measured, with its share of that"),
    ]
    picture.figures = [
      Figure(
        .plot(
          Plot(
            x: Axis("FLOP per byte", isLogarithmic: true, range: low...high),
            y: Axis("FLOP/s", isLogarithmic: true, range: slowest / 3...operationsPerSecond * 2),
            series: [roof, .init("measured", .series(0), .points, measured)])))
    ]
    return picture
  }
}
