// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Synchronization

/// Scratch memory that is kept between calls, one piece for each call in flight: fresh pages cost more than their use.
final class BufferCache: Sendable {
  private let idle = Mutex<[HostBuffer]>([])

  func take(byteCount: Int) -> HostBuffer {
    let found = idle.withLock { $0.popLast() }
    if let found, found.byteCount >= byteCount { return found }
    return HostBuffer(byteCount: byteCount)
  }

  func give(_ buffer: HostBuffer) { idle.withLock { $0.append(buffer) } }
}
