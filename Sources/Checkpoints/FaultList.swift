// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// Faults on their way into one error: all of them up to a limit, then only their number.
///
/// A header of 100 MB can hold a fault in each of its two million entries; nobody reads them, and they would take more
/// memory than the header.
struct FaultList {
  static let limit = 1000

  private var faults: [Fault] = []
  private var omitted = 0

  var isEmpty: Bool { faults.isEmpty }

  mutating func append(_ fault: Fault) {
    if faults.count < Self.limit { faults.append(fault) } else { omitted += 1 }
  }

  mutating func append(contentsOf other: [Fault]) {
    for fault in other { append(fault) }
  }

  /// Throws what was collected, if anything was.
  func check() throws(CheckpointError) {
    guard let last = faults.last else { return }
    guard omitted > 0 else { throw CheckpointError(faults) }
    throw CheckpointError(faults + [Fault(last.code, "and \(omitted) more faults", file: last.file)])
  }
}
