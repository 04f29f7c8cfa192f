// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Glibc
internal import Synchronization

/// Arrays of bytes that are used again, by the thread that used them last: the pages of fresh ones cost as much as reading
/// into them, and those of another thread lie in another processor's cache.
package final class ByteBuffers: Sendable {
  private struct Kind: Hashable {
    let thread: pthread_t
    let count: Int
  }

  private let idle = Mutex<[Kind: [[UInt8]]]>([:])

  package init() {}

  /// An array of so many bytes, whatever they are.
  func take(_ count: Int) -> [UInt8] {
    let kind = Kind(thread: pthread_self(), count: count)
    return idle.withLock { $0[kind]?.popLast() } ?? [UInt8](repeating: 0, count: count)
  }

  func give(_ bytes: [UInt8]) {
    let kind = Kind(thread: pthread_self(), count: bytes.count)
    idle.withLock { $0[kind, default: []].append(bytes) }
  }
}
