// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import Testing

/// A run of `RankCheck` by `mpirun`, and what it printed.
struct MPIRun {
  let status: Int32
  let output: String
  let errors: String
  let seconds: Double

  /// Where `mpirun` is; nil where there is none. `scripts/test` installs it where it can.
  static let launcher: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .map { "\($0)/mpirun" }.first { FileManager.default.isExecutableFile(atPath: $0) }

  static let isMissing: Comment = "no mpirun in PATH: install Open MPI or MPICH (scripts/test does, where apt is)"

  /// As root in a container, and with more ranks than processors: both families of Open MPI's variables.
  static let environment = [
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
  ]

  init(ranks: Int, _ arguments: [String], environment: [String: String] = [:]) throws {
    let process = Process()
    process.executableURL = URL(filePath: try #require(Self.launcher))
    process.arguments = ["-n", "\(ranks)", Self.check.path()] + arguments
    process.environment = ProcessInfo.processInfo.environment.merging(Self.environment) { $1 }
      .merging(environment) { $1 }
    let folder = try TemporaryFolder()
    let files = try ["out", "err"].map { name in
      let path = folder.path + "/" + name
      #expect(FileManager.default.createFile(atPath: path, contents: nil))
      return try #require(FileHandle(forWritingAtPath: path))
    }
    process.standardOutput = files[0]
    process.standardError = files[1]
    process.standardInput = FileHandle.nullDevice
    let start = Date()
    try process.run()
    process.waitUntilExit()
    seconds = Date().timeIntervalSince(start)
    status = process.terminationStatus
    let texts = try ["out", "err"].map { try String(contentsOfFile: folder.path + "/" + $0, encoding: .utf8) }
    (output, errors) = (texts[0], texts[1])
  }

  /// What was checked without a difference.
  var passed: Set<String> {
    Set(
      output.split(separator: "\n").filter { $0.hasPrefix("passed: ") }.map { String($0.dropFirst("passed: ".count)) })
  }

  /// The built tool, which stands beside the test bundle.
  private static let check: URL = {
    let bundle = Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }
    let folder = (bundle ?? URL(filePath: CommandLine.arguments[0])).deletingLastPathComponent()
    return folder.appending(path: "RankCheck")
  }()
}
