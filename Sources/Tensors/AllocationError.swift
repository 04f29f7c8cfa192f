// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Memory that could not be had, with the reason of the operating system.
public struct AllocationError: Error, Sendable, Hashable {
  public let faults: [Fault]

  public init(byteCount: Int, reason: String) {
    faults = [
      Fault(
        .outOfMemory, "cannot allocate \(byteCount) bytes (\(reason))",
        remedy: "free memory, raise the limit of this process (ulimit -v, cgroup), or load fewer experts per rank")
    ]
  }
}

extension AllocationError: CustomStringConvertible {
  public var description: String { faults.map(\.description).joined(separator: "\n") }
}

extension Fault.Code {
  /// The operating system refused memory.
  public static let outOfMemory = Fault.Code(rawValue: "outOfMemory")
}
