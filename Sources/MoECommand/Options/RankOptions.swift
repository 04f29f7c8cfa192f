// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import MoE
import MoEDistributed

/// How a command runs on the ranks of an MPI launcher.
struct RankOptions: ParsableArguments {
  @OptionGroup var parallel: ParallelOptions

  @Option(
    help: ArgumentHelp(
      "With several ranks: all-tokens (every rank has all) or all-to-all (tokens are spread, rows go to the experts).",
      valueName: "way"))
  var dispatch = Way.allTokens

  @Option(
    help: ArgumentHelp(
      "With all-tokens: rows (the bits of one process) or all-reduce (sums of each rank; cheaper).", valueName: "what"))
  var combine = Combination.rows

  @Option(
    help: ArgumentHelp(
      "With several ranks: how long one may not answer. Longer than the work between two exchanges.",
      valueName: "seconds"))
  var timeout = 60.0

  enum Way: String, ExpressibleByArgument, CaseIterable {
    case allTokens = "all-tokens"
    case allToAll = "all-to-all"
  }

  enum Combination: String, ExpressibleByArgument, CaseIterable {
    case rows
    case allReduce = "all-reduce"
  }

  func validate() throws {
    guard (0.1...86_400).contains(timeout) else { throw ValidationError("--timeout must lie between 0.1 and 86400") }
    if combine == .allReduce && dispatch == .allToAll {
      throw ValidationError("--combine all-reduce goes with --dispatch all-tokens")
    }
  }

  var way: Dispatch {
    switch (dispatch, combine) {
    case (.allToAll, _): .allToAll
    case (.allTokens, .rows): .allTokens
    case (.allTokens, .allReduce): .allReduce
    }
  }

  /// Loads experts on the ranks of a grid.
  func loading(_ grid: RankGrid<MPICommunicator>) -> RankLoading<MPICommunicator> {
    RankLoading(grid, dispatch: way) { [parallel] (count) throws(MoEError) in
      try parallel.placement(expertCount: count)
    }
  }

  /// Calls `alone` in a process alone, and `together` on all ranks of a launcher.
  ///
  /// - Throws: `invalidArgument` when the grid is not the world that was started.
  func run(alone: () throws -> Void, together: (RankGrid<MPICommunicator>) throws -> Void) throws {
    let grid = try parallel.grid()
    let size = Launcher.current?.size ?? 1
    guard grid.worldSize == size else {
      let wanted = "\(grid.tensorParallel) tensor parallel × \(grid.expertParallel) expert parallel"
      throw MoEError(
        .invalidArgument,
        size == 1 ? "the grid of ranks needs a launcher" : "the grid is not the ranks that were started",
        subject: "--tensor-parallel, --expert-parallel", expected: "\(size)",
        found: "\(wanted) = \(grid.worldSize)",
        remedy: size == 1
          ? "start it by mpirun -n \(grid.worldSize)" : "for example --expert-parallel \(size)")
    }
    guard size > 1, let launcher = Launcher.current else { return try alone() }
    var status = ExitCode.failure
    do {
      try MPICommunicator.withWorld(
        timeout: .seconds(timeout), launcher: launcher, reporting: { status = Moe.report($0) }
      ) { world in
        try together(
          RankGrid(world, tensorParallel: grid.tensorParallel, expertParallel: grid.expertParallel))
      }
    } catch {
      throw status
    }
  }
}
