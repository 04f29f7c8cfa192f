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

  /// - Parameter environment: variables that are set besides the ones of the test.
  init(_ arguments: [String], environment: [String: String] = [:]) throws {
    let process = Process()
    process.executableURL = Self.executable
    process.arguments = arguments
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
