// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEInspection

/// The result of `moe bench`, as text and as JSON.
struct BenchReport {
  let shape: ExpertShape
  let typeName: String
  let backend: String
  let machine: (text: String, fields: [String: JSONValue])
  let activations: ActivationPrecision
  let ceilings: Ceilings
  /// Relative to the Float64 reference.
  let error: Double
  let rows: [BenchRow]

  var text: String {
    var table = TextTable([
      "tokens", "ms", "median", "GB/s", "of memory", "GFLOP/s", "of peak", "of ceiling",
    ])
    for row in rows {
      let (read, computed) = rates(row)
      table.append([
        "\(row.tokenCount)", Format.short(row.minimum * 1000), Format.short(row.median * 1000),
        Format.short(read / 1e9), percent(read / ceilings.bytesPerSecond), Format.short(computed / 1e9),
        percent(computed / ceilings.operationsPerSecond), percent(row.work.floor(ceilings) / row.minimum),
      ])
    }
    return """
      \(shape.description) \(typeName), activations \(activations.rawValue), \(machine.text)
      ceilings: \(Format.rate(ceilings.bytesPerSecond)) memory read, \
      \(Format.short(ceilings.operationsPerSecond / 1e9)) GFLOP/s \(activations.rawValue); error \(Format.scientific(error))

      \(table.text)
      """
  }

  var picture: Picture {
    .roofline(
      "\(shape.description) \(typeName)", machine.text,
      bytesPerSecond: ceilings.bytesPerSecond, operationsPerSecond: ceilings.operationsPerSecond,
      points: rows.map { row in
        (
          "\(row.tokenCount) token(s)", Double(row.work.operations), Double(row.work.bytes), row.minimum
        )
      })
  }

  /// A row for each batch size.
  var results: JSONValue {
    .array(
      rows.map { row -> JSONValue in
        let (read, computed) = rates(row)
        return [
          "tokens": .integer(row.tokenCount), "seconds": .number(row.minimum), "median_seconds": .number(row.median),
          "bytes": .integer(row.work.bytes), "operations": .integer(row.work.operations),
          "share_of_memory": .number(read / ceilings.bytesPerSecond),
          "share_of_peak": .number(computed / ceilings.operationsPerSecond),
          "share_of_ceiling": .number(row.work.floor(ceilings) / row.minimum),
        ]
      })
  }

  var object: JSONValue {
    let common: [String: JSONValue] = [
      "schema": 1, "command": "bench", "shape": .string(shape.description), "dtype": .string(typeName),
      "backend": .string(backend), "activations": .string(activations.rawValue), "error": .number(error),
      "ceilings": [
        "bytes_per_second": .number(ceilings.bytesPerSecond),
        "operations_per_second": .number(ceilings.operationsPerSecond),
      ],
      "results": results,
    ]
    return .object(common.merging(machine.fields) { $1 })
  }

  private func rates(_ row: BenchRow) -> (read: Double, computed: Double) {
    (Double(row.work.bytes) / row.minimum, Double(row.work.operations) / row.minimum)
  }

  private func percent(_ share: Double) -> String { "\(Format.fixed(100 * share, 0)) %" }
}
