// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEInspection

/// The result of `moe bench` on many ranks, as text and as JSON.
struct RankBenchReport {
  let shape: ExpertShape
  let typeName: String
  let layout: ParallelLayout
  let dispatch: String
  let backend: CPUBackend
  /// Relative to the Float64 reference.
  let error: Double
  let rows: [RankBench.Row]

  var text: String {
    var table = TextTable(["tokens", "rank", "ms", "dispatch", "compute", "combine"])
    for row in rows {
      for (rank, time) in row.ranks.enumerated() {
        table.append(
          [rank == 0 ? "\(row.tokenCount)" : "", "\(rank)", Format.short(time.seconds * 1000)]
            + [time.dispatch, time.compute, time.combine].map {
              Format.fixed(100 * $0 / max(time.seconds, .leastNormalMagnitude), 1) + " %"
            })
      }
    }
    return """
      \(shape.description) \(typeName) on \(layout.worldSize) rank(s), tensor parallel \(layout.tensorParallel) × expert \
      parallel \(layout.expertParallel), \(dispatch)
      \(backend.pool.threadCount) thread(s) on each, \(backend.instructionSet.rawValue), \(Processor.model); \
      error \(Format.scientific(error))
      A forward in the mean; waiting for other ranks counts as dispatch or combine.

      \(table.text)
      """
  }

  var object: JSONValue {
    [
      "schema": 1, "command": "bench", "shape": .string(shape.description), "dtype": .string(typeName),
      "ranks": .integer(layout.worldSize), "tensor_parallel": .integer(layout.tensorParallel),
      "expert_parallel": .integer(layout.expertParallel), "dispatch": .string(dispatch),
      "threads": .integer(backend.pool.threadCount), "instruction_set": .string(backend.instructionSet.rawValue),
      "processor": .string(Processor.model), "error": .number(error),
      "results": .array(
        rows.map { row in
          [
            "tokens": .integer(row.tokenCount),
            "ranks": .array(
              row.ranks.enumerated().map { rank, time in
                [
                  "rank": .integer(rank), "seconds": .number(time.seconds), "dispatch_seconds": .number(time.dispatch),
                  "compute_seconds": .number(time.compute), "combine_seconds": .number(time.combine),
                ]
              }),
          ]
        }),
    ]
  }
}
