// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoEInspection

extension StepCost {
  var text: String {
    func part(_ name: String, _ bytes: Double, _ seconds: Double) -> String {
      "\(name) \(BalanceReport.time(seconds)) (\(Format.bytes(bytes < 1e18 ? Int(bytes) : Int(1e18))))"
    }
    return BalanceReport.time(seconds) + ": "
      + [
        part("dispatch", dispatchBytes, dispatchSeconds), part("compute", computeBytes, computeSeconds),
        part("combine", combineBytes, combineSeconds),
      ].joined(separator: ", ")
  }

  var object: JSONValue {
    [
      "dispatch_bytes": .number(dispatchBytes), "dispatch_seconds": .number(dispatchSeconds),
      "compute_bytes": .number(computeBytes), "compute_seconds": .number(computeSeconds),
      "combine_bytes": .number(combineBytes), "combine_seconds": .number(combineSeconds),
    ]
  }
}
