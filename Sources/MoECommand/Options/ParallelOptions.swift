// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import MoE

/// The grid of ranks that share a layer.
struct ParallelOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Ranks that share each expert's intermediate size.", valueName: "ranks"))
  var tensorParallel = 1

  @Option(help: ArgumentHelp("Ranks that the experts are spread over.", valueName: "ranks"))
  var expertParallel = 1

  @Option(help: ArgumentHelp("Replicas of experts: a number, or auto for the least that divide.", valueName: "count"))
  var redundant: Redundancy = .count(0)

  enum Redundancy: ExpressibleByArgument {
    case count(Int)
    case auto

    init?(argument: String) {
      if argument == "auto" {
        self = .auto
      } else if let count = Int(argument), count >= 0 {
        self = .count(count)
      } else {
        return nil
      }
    }

    var defaultValueDescription: String { "0" }
  }

  /// The grid, seen from a rank.
  func grid(rank: Int = 0) throws(MoEError) -> ParallelLayout {
    try ParallelLayout(tensorParallel: tensorParallel, expertParallel: expertParallel, rank: rank)
  }

  /// The experts of every rank, before any balancing.
  func placement(expertCount: Int) throws(MoEError) -> ExpertPlacement {
    try ExpertPlacement.initial(
      expertCount: expertCount, redundant: redundantCount(expertCount), ranks: expertParallel)
  }

  /// Replicas in a layer of so many experts.
  func redundantCount(_ expertCount: Int) -> Int {
    switch redundant {
    case .count(let count): count
    case .auto: ExpertPlacement.leastRedundant(expertCount: expertCount, ranks: expertParallel)
    }
  }
}
