// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Testing

/// Every case of the oracle, cut over every grid of 1, 2 and 4 ranks either way, with and without replicas.
@Suite struct OracleParallelTests {
  /// The pairs of case and grid that are refused, with the reason: `case grid: reason`.
  static let refused: Set<String> = {
    let path = URL(filePath: #filePath).deletingLastPathComponent().path() + "../../Oracle/refused-grids.txt"
    let lines = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return Set(lines.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init))
  }()

  @Test(arguments: Oracle.folders) func grids(folder: String) throws {
    let model = try MoEModel(opening: folder)
    let name = String(folder.split(separator: "/").last!)
    let layer = try #require(model.layers.last)
    let check = try ParallelLoadCheck(layer.experts, of: model.checkpoint.catalog)
    for tensorParallel in [1, 2, 4] {
      for expertParallel in [1, 2, 4] {
        for isRedundant in [false, true] {
          do {
            try check(tensorParallel: tensorParallel, expertParallel: expertParallel, isRedundant: isRedundant)
          } catch let error as MoEError {
            let line = "\(name) tp\(tensorParallel) ep\(expertParallel)\(isRedundant ? " redundant" : ""): \(error)"
            #expect(Self.refused.contains(line), "refused, and not in the list: \(line)")
          }
        }
      }
    }
  }
}
