// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors

/// A checkpoint with the outputs that a program not ours gives for it; see `Tests/Oracle/README.md`.
struct OracleCase: Sendable, CustomStringConvertible {
  let folder: String
  let name: String
  let layers: [Int]
  let absolute: Double
  let relative: Double

  var description: String { name }

  init(_ folder: String) throws {
    self.folder = folder
    name = String(folder.split(separator: "/").last!)
    let description = try JSONValue(
      parsing: RandomAccessFile.contents(of: folder + "/case.json", limit: 1 << 24), file: folder + "/case.json")
    layers = description["moe_layers"]!.array!.map { $0.integer! }
    let tolerance = description["tolerance"]!["float32"]!
    absolute = tolerance["atol"]!.number!
    relative = tolerance["rtol"]!.number!
  }

  /// The recorded tensors of a layer.
  struct Recording {
    let catalog: TensorCatalog
    let layer: Int

    func floats(_ name: String) throws -> [Float]? {
      try catalog["layers.\(layer).\(name)"].map { try catalog.floats(of: $0) }
    }

    func integers(_ name: String) throws -> [Int32]? {
      try catalog["layers.\(layer).\(name)"].map { try catalog.integers(of: $0).map(Int32.init) }
    }

    var topK: Int { catalog["layers.\(layer).topk_ids"]!.shape[1] }
  }

  func recording(of layer: Int) throws -> Recording {
    Recording(catalog: try TensorCatalog(opening: folder + "/oracle.safetensors"), layer: layer)
  }
}

/// The oracle's cases: all of the set that `MOE_ORACLE` names, else the ones in the repository.
enum Oracle {
  /// The folder of cases, and whether it is the set that was asked for.
  static let folder: (path: String, isFullSet: Bool) = {
    if let path = ProcessInfo.processInfo.environment["MOE_ORACLE"], !path.isEmpty { return (path, true) }
    return (URL(filePath: #filePath).deletingLastPathComponent().path() + "../../Oracle/cases", false)
  }()

  /// Kinds of cases that this version reads.
  static let supported = ["arch_", "custom_", "gguf_", "layout_", "q_"]

  static let folders: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().filter { name in supported.contains { name.hasPrefix($0) } }.map { folder.path + "/" + $0 }
  }()
}
