// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoEInspection

/// A picture of every kind, from fixed numbers.
enum SamplePictures {
  static let all: [(name: String, picture: Picture)] = [
    ("loads", loads), ("ranks", ranks), ("placement", placement), ("roofline", roofline), ("memory", memory),
    ("shards", shards),
  ]

  /// 8 layers of 64 experts; expert 5 of layer 3 has half of all tokens, expert 9 none.
  static let loads: Picture = {
    let rows = (0..<8).map { layer in
      (0..<64).map { expert -> Double in
        if layer == 3 && expert == 5 { return 6000 }
        return expert == 9 ? 0 : Double((expert * 37 + layer * 101) % 97 + 40)
      }
    }
    return .loadHeatmap("Load of the experts", "8 layers of 64 experts", layers: Array(0..<8), loads: rows)
  }()

  static let ranks = Picture.rankLoads(
    "Load of the ranks", "16 ranks", before: (0..<16).map { 1000 + Double($0 * $0 % 17) * 120 },
    after: (0..<16).map { 1890 + Double($0 % 3) * 40 },
    deviations: ((0..<16).map { _ in 150 }, (0..<16).map { _ in 90 }))

  static let placement = Picture.placement(
    "Placement of layer 3", "16 experts and 8 replicas on 2 nodes", before: (0..<24).map { $0 % 16 },
    after: (0..<24).map { $0 == 20 ? 1 : $0 == 5 ? 9 : $0 % 16 }, ranksPerNode: 4, slotsPerRank: 3,
    moves: [.init(from: 1, to: 20, bytes: 9_437_184), .init(from: 9, to: 5, bytes: 9_437_184)])

  static let roofline = Picture.roofline(
    "2048,768,128,8 bf16", "2 threads", bytesPerSecond: 34e9, operationsPerSecond: 206e9,
    points: [
      ("1 token", 75e6, 75e6, 75e6 / 31e9), ("8 tokens", 604e6, 500e6, 604e6 / 35e9),
      ("64 tokens", 4.8e9, 1.2e9, 4.8e9 / 120e9), ("512 tokens", 38e9, 1.2e9, 38e9 / 146e9),
    ])

  static let memory = Picture.memory(
    "Memory of a load", "one layer", resident: 2_000_000_000, staging: 90_000_000, workspace: 300_000_000,
    measured: (1...8).map { (Double($0) / 8, 250_000_000 * $0 + 60_000_000) })

  /// 192 columns in blocks of 128 over two ranks, one of which pads its share.
  static let shards: Picture = {
    var picture = Picture("Shards", "down of an expert")
    picture.figures = [
      .shards("down", extent: 192, cuts: [0..<96, 96..<192], padding: [0, 32], block: 128, axis: "columns")
    ]
    return picture
  }()

  /// The headers of a checkpoint whose layer 1 lacks a tensor of expert 3.
  static func damaged(in folder: TemporaryFolder) throws -> CheckReport {
    let source = URL(filePath: #filePath).deletingLastPathComponent().path() + "../Oracle/cases/arch_deepseek_v3"
    try FileManager.default.copyItem(atPath: source + "/config.json", toPath: folder["config.json"])
    let catalog = try TensorCatalog(opening: source + "/model.safetensors")
    try SafetensorsFile.write(
      tensors: catalog.records.filter { $0.name != "model.layers.1.mlp.experts.3.up_proj.weight" }.map {
        (TensorDeclaration($0.name, $0.elementType, $0.shape), bytes: try catalog.bytes(of: $0))
      }, to: folder["model.safetensors"])
    return CheckpointCheck(readsValues: false).run(on: folder.path)
  }
}
