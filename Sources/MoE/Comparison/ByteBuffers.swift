// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Synchronization

/// Arrays of bytes that are used again: the pages of fresh ones cost as much as reading into them.
package final class ByteBuffers: Sendable {
  private let idle = Mutex<[Int: [[UInt8]]]>([:])

  package init() {}

  /// An array of so many bytes, whatever they are.
  func take(_ count: Int) -> [UInt8] {
    idle.withLock { $0[count]?.popLast() } ?? [UInt8](repeating: 0, count: count)
  }

  func give(_ bytes: [UInt8]) { idle.withLock { $0[bytes.count, default: []].append(bytes) } }
}
