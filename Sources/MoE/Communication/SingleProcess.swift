// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// A process alone: rank 0 of 1, which may send to itself.
public struct SingleProcess: Communicator {
  public let rank = 0
  public let worldRanks = [0]

  public init() {}

  public func start(_ exchange: Exchange<HostBuffer>) throws(MoEError) -> any PendingExchange {
    try exchange.validate(rank: 0, size: 1)
    try exchange.copyOwn(rank: 0)
    return CompleteExchange()
  }

  public func split(color: Int) throws(MoEError) -> Self { self }
}

/// An exchange that was over when it began.
struct CompleteExchange: PendingExchange {
  func isComplete() -> Bool { true }
  func wait() {}
}

extension Exchange {
  /// - Throws: `invalidArgument` for peers outside of the group, and for messages of a rank to itself that don't match.
  package func validate(rank: Int, size: Int) throws(MoEError) {
    for message in sends + receives where !(0..<size).contains(message.peer) {
      throw MoEError(.invalidArgument, "no such rank", expected: "0..<\(size)", found: "\(message.peer)")
    }
    func own(_ messages: [Message]) -> [Int] { messages.filter { $0.peer == rank }.map(\.region.bytes.count) }
    guard own(sends) == own(receives) else {
      throw MoEError(
        .invalidArgument, "rank \(rank) sends to itself what it does not receive", expected: "\(own(sends)) bytes",
        found: "\(own(receives))")
    }
  }
}

extension Exchange where Buffer == HostBuffer {
  /// Copies the messages of a rank to itself.
  package func copyOwn(rank: Int) throws(MoEError) {
    for (send, receive) in zip(sends.filter { $0.peer == rank }, receives.filter { $0.peer == rank }) {
      let source = unsafe try send.region.buffer.slice(send.region.bytes)
      let target = unsafe try receive.region.buffer.slice(receive.region.bytes)
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(source))
    }
  }
}
