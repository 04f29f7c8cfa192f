// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE

extension ModelPlan {
  /// What each rank holds and needs, and how the experts of the first layer are cut.
  ///
  /// - Parameter limit: bytes that a rank may take; nil for no limit.
  public func picture(of model: MoEModel, title: String, limit: Int? = nil) -> Picture {
    var picture = Picture(
      title,
      "\(model.architecture), \(model.layers.count) MoE layer(s), tensor parallel \(grid.tensorParallel), expert parallel "
        + "\(grid.expertParallel), batches of \(maxTokens) token(s), backend \(backendName)")
    picture.legend = [
      .init(.series(0), "experts"), .init(.series(1), "peak of the load"),
      .init(.series(3), "with the workspace of the worst batch"),
    ]
    picture.figures = [
      Figure(
        "Memory of each rank",
        .bars(
          Bars(
            categories: ranks.map { "rank \($0.rank)" },
            series: [
              .init("experts", .series(0), ranks.map { Double($0.resident) }),
              .init("peak of the load", .series(1), ranks.map { Double($0.peak) }),
              .init("worst batch", .series(3), ranks.map { Double($0.resident + $0.worstWorkspace) }),
            ], axis: Axis("", .bytes), references: limit.map { [("the limit", Double($0))] } ?? [])))
    ]
    guard let layer = model.layers.first else { return picture }
    let cuts = grid.ranks.prefix(grid.tensorParallel).compactMap { ranks[$0.rank].intermediate.first }
    guard cuts.count == grid.tensorParallel else { return picture }
    picture.legend += Picture.shardLegend.dropFirst()
    let paddings = grid.ranks.prefix(grid.tensorParallel).map { ranks[$0.rank].padding.first ?? 0 }
    let size = layer.specification.intermediateSize
    for (name, projection, axis) in [("gate and up", Projection.up, "rows"), ("down", .down, "columns")] {
      picture.figures.append(
        .shards(
          "\(name) of an expert of layer \(layer.index): its \(size) \(axis) over \(cuts.count) rank(s)", extent: size,
          cuts: cuts, padding: paddings, block: layer.experts.block(of: projection), axis: axis))
    }
    return picture
  }
}

extension ExpertSource {
  /// Rows of gate and up, or columns of down, that share a scale.
  fileprivate func block(of projection: Projection) -> Int {
    guard let granularity = formats[projection]?.parameters.granularity else { return 1 }
    return switch granularity {
    case .block(let rows, let columns): projection == .down ? columns : rows
    case .group(let size): projection == .down ? size : 1
    case .tensor, .channel, .flat: 1
    }
  }
}
