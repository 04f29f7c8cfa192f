// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import Tensors

/// The command line: one file for each command in `Commands/`.
@main
struct Moe: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "moe",
    abstract: "The experts of mixture-of-experts models: inspect, run and measure them.",
    discussion: """
      Start with 'moe run': it makes a small checkpoint, loads it, runs it, checks it and prints what this machine does.

      Environment: MOE_THREADS (worker threads), MOE_ISA (portable, avx2, avx512); 'moe doctor' shows both.
      """,
    version: packageVersion,
    subcommands: [
      Run.self, Inspect.self, Check.self, Verify.self, Plan.self, Extract.self, Convert.self, Synth.self, Bench.self,
      Doctor.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      exit(reporting: error)
    }
  }

  /// Ends the program: one line `moe: error: …` for each fault and status 1, or the usage and status 64.
  private static func exit(reporting error: any Error) -> Never {
    let faults = (error as? MoEError)?.faults ?? (error as? CheckpointError)?.faults
    // What is wrong is known on rank 0, but for its own silence.
    let isFirst = (Launcher.current?.rank ?? 0) == 0
    if let faults {
      for fault in faults where isFirst || fault.code == .silentRank { Console.report(fault.description) }
      exit(withError: ExitCode.failure)
    }
    let code = exitCode(for: error)
    guard isFirst else { exit(withError: code) }
    guard code == .validationFailure else { exit(withError: error) }
    Console.report(message(for: error))
    Console.write(usageString(for: error))
    exit(withError: code)
  }

  private static func usageString(for error: any Error) -> String {
    let text = fullMessage(for: error)
    return text.firstRange(of: "Usage:").map { String(text[$0.lowerBound...]) }
      ?? "See 'moe --help' for more information."
  }
}
