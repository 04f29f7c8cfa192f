// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import MoE
import Tensors

/// How many workers there are, and on which processors.
struct ThreadOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Worker threads (default: MOE_THREADS, or the processors of the affinity mask over the ranks on this host).",
      valueName: "count"))
  var threads: Int?

  func validate() throws {
    if let threads, !Self.allowed.contains(threads) {
      throw ValidationError("the number of threads must lie between 1 and \(Self.allowed.upperBound)")
    }
  }

  private static let allowed = 1...4096

  /// The number of threads: the option, `MOE_THREADS`, or the processors there are.
  func count() throws(MoEError) -> Int {
    if let threads { return threads }
    guard let text = environment("MOE_THREADS") else { return WorkerPool.defaultThreadCount }
    guard let count = Int(text), Self.allowed.contains(count) else {
      throw MoEError(
        .invalidArgument, "no number of threads", subject: "MOE_THREADS", expected: "\(Self.allowed)", found: text)
    }
    return count
  }

  /// Workers: as many as were asked for.
  func pool() throws(MoEError) -> WorkerPool {
    let count = try count()
    guard let pool = WorkerPool(threads: count, topology: try Self.topology()) else {
      throw MoEError(.outOfMemory, "the system does not start \(count) threads", remedy: "ask for fewer by --threads")
    }
    return pool
  }

  /// The nodes of `MOE_TOPOLOGY`, or those of this machine.
  static func topology() throws(MoEError) -> Topology {
    guard let text = environment("MOE_TOPOLOGY") else { return .current }
    guard let topology = Topology(pretending: text) else {
      throw MoEError(
        .invalidArgument, "no nodes and processors", subject: "MOE_TOPOLOGY",
        expected: "NODESxPROCESSORS, such as 2x4, of \(WorkerPool.availableProcessors) processor(s)", found: text)
    }
    return topology
  }
}
