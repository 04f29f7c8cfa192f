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

      Environment: MOE_THREADS (worker threads), MOE_ISA (portable, avx2, avx512 …), MOE_TOPOLOGY (2x4 pretends two NUMA \
      nodes of four processors), MOE_NVRTC (the folder of NVIDIA's run-time compiler), MOE_KERNEL_CACHE (the folder of \
      compiled kernels); 'moe doctor' shows what they lead to.
      """,
    version: packageVersion,
    subcommands: [
      Run.self, Inspect.self, Check.self, Verify.self, Plan.self, Extract.self, Convert.self, Synth.self, Bench.self,
      MeasureAccuracy.self, Trace.self, Balance.self, Kernels.self, Doctor.self,
    ])

  static func main() {
    Interruption.watch()
    var status = ExitCode.success
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      status = report(error)
    }
    do throws(MoEError) { try Console.finish() } catch { status = report(error) }
    exit(withError: status)
  }

  /// Says what is wrong, one line `moe: error: …` for each fault or the usage; returns the status, 1 or 64. Help and the
  /// version are no errors: they are printed, and the status is 0.
  ///
  /// Of many ranks the first speaks, as it hears what is wrong on others; the others speak where it may be silent itself.
  static func report(_ error: any Error) -> ExitCode {
    let isFirst = (Launcher.current?.rank ?? 0) == 0
    if let faults = (error as? MoEError)?.faults ?? (error as? CheckpointError)?.faults {
      for fault in faults where isFirst || fault.code == .silentRank { Console.report(fault.description) }
      return .failure
    }
    let code = exitCode(for: error)
    guard isFirst, !(error is ExitCode) else { return code }
    guard code != .success else {
      print(fullMessage(for: error))
      return code
    }
    Console.report(message(for: error))
    Console.write(usageString(for: error))
    return code
  }

  private static func usageString(for error: any Error) -> String {
    let text = fullMessage(for: error)
    return text.firstRange(of: "Usage:").map { String(text[$0.lowerBound...]) }
      ?? "See 'moe --help' for more information."
  }
}
