// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// Bytes from one rank to another.
public struct LinkTraffic: Sendable, Hashable {
  public let sender: Int
  public let receiver: Int
  public let bytes: Int

  public init(sender: Int, receiver: Int, bytes: Int) {
    self.sender = sender
    self.receiver = receiver
    self.bytes = bytes
  }
}

extension Sequence<Migration> {
  /// The bytes that migrations, one of each layer, move between each pair of ranks; by sender, then receiver. Copies
  /// within a rank don't count.
  public func traffic(bytesPerExpert: Int) -> [LinkTraffic] {
    var experts: [[Int]: Int] = [:]
    for migration in self {
      for move in migration.transfers { experts[[move.sender, move.receiver], default: 0] += 1 }
    }
    return experts.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ranks, count in
      LinkTraffic(sender: ranks[0], receiver: ranks[1], bytes: count * bytesPerExpert)
    }
  }
}
