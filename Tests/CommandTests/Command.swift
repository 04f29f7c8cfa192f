// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Testing

/// Runs the command `moe` as a user does, and catches what it prints.
struct Command {
  var status: Int32
  var output: String
  var errors: String

  /// - Parameters:
  ///   - environment: variables that are set besides the ones of the test.
  ///   - ranks: how many `mpirun` starts, where there are several.
  init(_ arguments: [String], environment: [String: String] = [:], ranks: Int = 1) throws {
    let process = Process()
    process.executableURL = Self.executable
    process.arguments = arguments
    var environment = environment
    if ranks > 1 {
      process.executableURL = URL(filePath: try #require(Self.launcher))
      process.arguments = ["-n", "\(ranks)", Self.executable.path()] + arguments
      environment.merge(Self.launcherEnvironment) { $1 }
    }
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    // Files and not pipes: nothing blocks however much is printed.
    try (status, output, errors) = withTemporaryFolder { folder in
      let files = try ["out", "err"].map { name in
        let path = folder + "/" + name
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        return try #require(FileHandle(forWritingAtPath: path))
      }
      process.standardOutput = files[0]
      process.standardError = files[1]
      process.standardInput = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      let texts = try ["out", "err"].map { try String(contentsOfFile: folder + "/" + $0, encoding: .utf8) }
      return (process.terminationStatus, texts[0], texts[1])
    }
  }

  /// The object that `--json` printed.
  func json() throws -> JSONValue {
    let value = try JSONValue(parsing: Array(output.utf8), file: "standard output")
    #expect(value["schema"]?.integer == 1)
    return value
  }

  static let launcher: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .map { "\($0)/mpirun" }.first { FileManager.default.isExecutableFile(atPath: $0) }

  /// As root in a container, and with more ranks than processors: both families of Open MPI's variables.
  private static let launcherEnvironment = [
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
  ]

  /// The built command, which stands beside the test bundle.
  private static let executable: URL = {
    let bundle = Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }
    let folder = (bundle ?? URL(filePath: CommandLine.arguments[0])).deletingLastPathComponent()
    return folder.appending(path: "moe")
  }()
}

/// A folder that is gone when `body` is done.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appending(path: "moe-tests-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path())
}

/// The oracle's cases in the repository.
enum Fixtures {
  static func path(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().path() + "../Oracle/cases/" + name
  }
}
