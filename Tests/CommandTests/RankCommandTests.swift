// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Testing

/// Commands on the ranks of `mpirun`.
@Suite(.enabled(if: Command.launcher != nil, "no mpirun in PATH: install Open MPI or MPICH"), .serialized)
struct RankCommandTests {
  private func run(_ ranks: Int, _ folder: String, _ others: [String], output: String) throws -> Command {
    try Command(RunTests.arguments(folder, layer: 1, output: output) + others, ranks: ranks)
  }

  /// Rank 0 writes the file that one process writes.
  @Test func sameFile() throws {
    try withTemporaryFolder { folder in
      let (alone, shared) = (folder + "/1.safetensors", folder + "/n.safetensors")
      for fixture in ["arch_granitemoeshared", "arch_mixtral"].map(Fixtures.path) {
        #expect(try Command(RunTests.arguments(fixture, layer: 1, output: alone)).status == 0)
        let expected = try Data(contentsOf: URL(filePath: alone))
        for (ranks, options) in [
          (2, ["--expert-parallel", "2"]), (3, ["--expert-parallel", "3", "--dispatch", "all-to-all"]),
          (4, ["--expert-parallel", "4", "--redundant", "auto"]),
        ] {
          let run = try run(ranks, fixture, options, output: shared)
          #expect(run.status == 0, "\(run.errors)")
          #expect(run.output.split(separator: "\n").count == 1, "one rank prints")
          #expect(try Data(contentsOf: URL(filePath: shared)) == expected, "\(fixture) \(options)")
          try FileManager.default.removeItem(atPath: shared)
        }
      }
    }
  }

  @Test(arguments: [["--tensor-parallel", "2"], ["--expert-parallel", "2", "--combine", "all-reduce"]])
  func withinRounding(options: [String]) throws {
    try withTemporaryFolder { folder in
      let (alone, shared) = (folder + "/1.safetensors", folder + "/n.safetensors")
      #expect(try Command(RunTests.arguments(RunTests.mixtral, layer: 1, output: alone)).status == 0)
      let run = try run(2, RunTests.mixtral, options + ["--json"], output: shared)
      #expect(run.status == 0, "\(run.errors)")
      #expect(try run.json()["ranks"]?.integer == 2)
      let (a, b) = (try TensorCatalog(opening: alone), try TensorCatalog(opening: shared))
      let (x, y) = (try a.floats(of: #require(a["output"])), try b.floats(of: #require(b["output"])))
      #expect(zip(x, y).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($0)) })
    }
  }

  @Test func wrongWorlds() throws {
    try withTemporaryFolder { folder in
      let output = folder + "/y.safetensors"
      for (ranks, options, text) in [
        (2, [], "the grid is not the ranks that were started"), (2, ["--expert-parallel", "3"], "= 3"),
        (1, ["--expert-parallel", "2"], "mpirun -n 2"),
      ] {
        let run = try run(ranks, RunTests.mixtral, options, output: output)
        #expect(run.status == 1 && run.errors.contains(text), "\(run.errors)")
        let lines = run.errors.split(separator: "\n").filter { $0.hasPrefix("moe: error: ") }
        #expect(lines.count == 1, "one rank says so: \(run.errors)")
        #expect(!FileManager.default.fileExists(atPath: output))
      }
      let usage = try run(
        2, RunTests.mixtral, ["--expert-parallel", "2", "--dispatch", "all-to-all", "--combine", "all-reduce"],
        output: output)
      #expect(usage.status == 64, "\(usage.errors)")
      let other = try Command(["inspect", RunTests.mixtral], ranks: 2)
      #expect(other.status == 0)
      let check = try Command(["doctor", "--threads", "1"], ranks: 2)
      #expect(check.status == 0)
    }
  }

  /// What is missing on all ranks is said once.
  @Test func missingCheckpoint() throws {
    let run = try Command(
      ["run", "/nothing", "--layer", "0", "--input", "/x", "-o", "/y", "--expert-parallel", "2"], ranks: 2)
    #expect(run.status == 1)
    #expect(run.errors.split(separator: "\n").count { $0.hasPrefix("moe: error: /nothing") } == 1, "\(run.errors)")
  }
}
