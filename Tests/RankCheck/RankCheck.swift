// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Glibc
import MoE
import MoEDistributed

/// What `DistributedTests` start under `mpirun`: `RankCheck WHAT [ARGUMENTS]`. Rank 0 prints a line for each check that
/// passed; a rank that finds a difference says so and ends with status 1.
@main
struct RankCheck {
  static func main() {
    let arguments = CommandLine.arguments.dropFirst()
    guard let name = arguments.first, let check = checks[name], let launcher = Launcher.current else {
      print("usage: mpirun -n N RankCheck \(checks.keys.sorted().joined(separator: "|")) [ARGUMENTS]")
      exit(64)
    }
    do {
      try MPICommunicator.withWorld(
        timeout: timeout, launcher: launcher,
        reporting: { write("rank \(launcher.rank): \($0)\n", to: STDERR_FILENO) }
      ) { world in
        try check(world, Array(arguments.dropFirst()))
      }
    } catch {
      exit(1)
    }
  }

  /// What there is to check.
  static let checks: [String: @Sendable (MPICommunicator, [String]) throws -> Void] = [
    "collectives": checkCollectives, "failures": checkFailures, "layers": checkLayers,
  ]

  /// Seconds in `RANK_TIMEOUT`; a minute is much for machines with little to do and little for those with much.
  private static var timeout: Duration {
    .seconds(unsafe getenv("RANK_TIMEOUT").flatMap { unsafe Int(String(cString: $0)) } ?? 120)
  }
}

/// Ends the check unless `condition` holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw MoEError(.invalidValue, message()) }
}

/// A line of rank 0.
func passed(_ text: String, _ world: MPICommunicator) {
  if world.rank == 0 { write("passed: \(text)\n", to: STDOUT_FILENO) }
}

/// Writes at once: what is buffered when a rank is killed is lost.
func write(_ text: String, to file: Int32) {
  var text = text
  text.withUTF8 { bytes in _ = unsafe Glibc.write(file, bytes.baseAddress, bytes.count) }
}
