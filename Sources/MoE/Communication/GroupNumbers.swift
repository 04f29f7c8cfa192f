// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Synchronization

/// Numbers that tell the messages of groups apart, where groups are made of point-to-point messages alone.
///
/// Ranks that share a group have agreed on its number; each takes a higher one next time. So two groups may have the
/// same number only when no two ranks are in both.
package final class GroupNumbers: Sendable {
  private let next: Mutex<Int>

  package init(first: Int) { next = Mutex(first) }

  /// The ranks of `communicator` that gave the same color, and the number of their group.
  package func group(
    color: Int, of communicator: some Communicator<HostBuffer>
  ) throws(MoEError) -> (ranks: [Int], number: Int) {
    let mine = next.withLock { $0 }
    let all = try communicator.allGather(
      [Int64(color), Int64(mine)], counts: Array(repeating: 2, count: communicator.size))
    let ranks = all.indices.filter { all[$0][0] == color }
    let number = Int(all.map { $0[1] }.max()!)
    next.withLock { $0 = number + 1 }
    return (ranks, number)
  }
}
