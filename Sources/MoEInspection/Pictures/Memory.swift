// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

extension Picture {
  /// The memory of a load, as it was planned and as it was: how it rises while bytes are read, and what a batch adds.
  ///
  /// - Parameters:
  ///   - resident: bytes that stay.
  ///   - staging: bytes that loading takes besides.
  ///   - workspace: bytes of the largest batch.
  ///   - measured: the share of the bytes that had been read, and the bytes in memory then; empty where nothing was loaded.
  public static func memory(
    _ title: String, _ subtitle: String = "", resident: Int, staging: Int, workspace: Int = 0,
    measured: [(share: Double, bytes: Int)] = []
  ) -> Self {
    let (resident, staging, workspace) = (Double(resident), Double(staging), Double(workspace))
    var series = [
      Plot.Series(
        "planned: experts", .series(0), .fill,
        [.init(0, 0), .init(1, resident), .init(1.25, resident)]),
      Plot.Series(
        "planned: with what loading takes", .series(1), .line, [.init(0, staging), .init(1, resident + staging)]),
    ]
    if workspace > 0 {
      series.append(
        Plot.Series(
          "planned: with the largest batch", .series(3), .line,
          [.init(1, resident + workspace), .init(1.25, resident + workspace)]))
    }
    if !measured.isEmpty {
      series.append(
        Plot.Series(
          "measured", .bad, .points, measured.sorted { $0.share < $1.share }.map { .init($0.share, Double($0.bytes)) }))
    }
    var picture = Self(title, subtitle)
    picture.legend = series.map { .init($0.tone, $0.name) }
    picture.figures = [
      Figure(
        .plot(
          Plot(
            x: Axis("of the bytes read", .percent, range: 0...(workspace > 0 ? 1.25 : 1.05)),
            y: Axis("in memory", .bytes),
            series: series, references: [("peak of the load", resident + staging)])))
    ]
    return picture
  }
}
