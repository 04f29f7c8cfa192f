// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Testing

/// Under a real launcher, with more ranks than there may be processors.
@Suite(.enabled(if: MPIRun.launcher != nil, MPIRun.isMissing), .serialized)
struct MPITests {
  @Test(arguments: [1, 2, 4]) func collectives(ranks: Int) throws {
    let run = try MPIRun(ranks: ranks, ["collectives"])
    #expect(run.status == 0 && run.passed.count == 1, "\(run.errors)")
  }

  /// One type of each form of weights.
  static let forms = [
    "bf16", "fp8-block", "int8-channel", "int8-g128", "int4-g64-asym", "mxfp4", "nvfp4", "nf4", "q4_k",
  ]

  /// Every family, every case of the oracle and every form of weights, in every way of running, before, while and after
  /// experts move, with replicas, with experts that don't divide, and with a group of 2, 4 and 3 ranks.
  @Test(arguments: [2, 4]) func layers(ranks: Int) throws {
    let folder = try TemporaryFolder()
    var paths: [String] = []
    func write(_ model: SyntheticModel, as name: String) throws {
      paths.append(folder.path + "/" + name)
      try FileManager.default.createDirectory(atPath: paths.last!, withIntermediateDirectories: true)
      try model.write(to: paths.last!, seed: 1)
    }
    for (index, (_, configuration)) in TinyConfigurations.all.sorted(by: { $0.key < $1.key }).enumerated() {
      try write(SyntheticModel(configuration: configuration), as: "family-\(index)")
    }
    for form in Self.forms {
      var configuration = TinyConfigurations.all["Mixtral"]!
      let width = form == "q4_k" ? 256 : 128
      for key in ["hidden_size", "intermediate_size"] { configuration[key] = .integer(width) }
      configuration["num_local_experts"] = 5
      try write(
        SyntheticModel(configuration: configuration, layerCount: 1, type: WeightType(parsing: form)), as: form)
    }
    paths += Oracle.folders
    let run = try MPIRun(ranks: ranks, ["layers"] + paths)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.passed == Set(paths), "not passed: \(Set(paths).subtracting(run.passed).sorted())")
  }
}

/// Ranks that stop, end or differ: an error that names them, never a hang.
@Suite(.enabled(if: MPIRun.launcher != nil, MPIRun.isMissing), .serialized)
struct MPIFailureTests {
  private func run(_ failure: String, _ environment: [String: String] = [:], _ others: [String] = []) throws -> MPIRun {
    let run = try MPIRun(
      ranks: 4, ["failures", failure] + others, environment: environment.merging(["RANK_TIMEOUT": "4"]) { $1 })
    #expect(run.status != 0)
    // The timeout, and what a busy machine takes to start and end four processes.
    #expect(run.seconds < 30)
    return run
  }

  @Test func stopped() throws {
    let run = try run("stop")
    #expect(run.errors.contains("rank 3 did not answer within 4 s"), "\(run.errors)")
    #expect(!run.errors.contains("rank 1 did not") && !run.errors.contains("rank 2 did not"), "\(run.errors)")
  }

  @Test func stoppedWhileRowsTravel() throws {
    let run = try run("stop-forward", [:], [Oracle.folder.path + "/arch_mixtral"])
    #expect(run.errors.contains("rank 3 did not answer within 4 s"), "\(run.errors)")
  }

  /// Where the launcher lets the others live.
  @Test func killed() throws {
    let run = try MPIRun(
      ranks: 4, ["failures", "die"], environment: ["RANK_TIMEOUT": "4", "OMPI_MCA_orte_enable_recovery": "1"])
    #expect(run.errors.contains("rank 3 did not answer within 4 s") || run.status != 0, "\(run.errors)")
  }

  @Test func ended() throws {
    #expect(try run("throw").errors.contains("rank 3 has left: this rank had enough"))
  }

  @Test func failedTogether() throws {
    let run = try run("together")
    for rank in 0..<4 { #expect(run.errors.contains("rank \(rank): /data/x: on rank 3: a file is missing")) }
  }

  @Test func startedWithDifferentThings() throws {
    let errors = try run("differ").errors
    #expect(errors.contains("placement: ranks were started with different things"))
    #expect(errors.contains("usual on ranks 0, 1, 2, other on rank 3"))
    #expect(errors.contains("layout: ranks were started with different things"))
    #expect(errors.contains("a on rank 0, b on ranks 1, 2, 3"))
    #expect(!errors.contains("plan:"))
  }
}
