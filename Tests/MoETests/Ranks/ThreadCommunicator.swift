// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import Synchronization

/// Ranks that are threads of one process.
struct ThreadCommunicator: Communicator {
  let rank: Int
  let worldRanks: [Int]
  private let group: Int
  private let numbers: GroupNumbers
  private let mail: Mail

  /// Messages that were sent and not yet received.
  final class Mail: Sendable {
    struct Address: Hashable {
      var group: Int
      var sender: Int
      var receiver: Int
    }

    let waiting = Mutex<[Address: [[UInt8]]]>([:])
    let failed = Mutex(false)
  }

  /// Runs `body` on a thread for each rank; returns what each returned.
  static func run<Value: Sendable>(
    ranks: Int, _ body: @escaping @Sendable (ThreadCommunicator) throws -> Value
  ) throws -> [Value] {
    let mail = Mail()
    let results = Mutex<[Int: Result<Value, any Error>]>([:])
    let threads = (0..<ranks).map { rank in
      let communicator = ThreadCommunicator(
        rank: rank, worldRanks: Array(0..<ranks), group: 0, numbers: GroupNumbers(first: 1), mail: mail)
      let thread = Thread {
        let result = Result { try body(communicator) }
        if case .failure = result { mail.failed.withLock { $0 = true } }
        results.withLock { $0[rank] = result }
      }
      thread.start()
      return thread
    }
    while !threads.allSatisfy(\.isFinished) { usleep(200) }
    let done = results.withLock { $0 }
    return try (0..<ranks).map { try done[$0]!.get() }
  }

  func start(_ exchange: Exchange<HostBuffer>) throws(MoEError) -> any PendingExchange {
    try exchange.validate(rank: rank, size: size)
    try exchange.copyOwn(rank: rank)
    for message in exchange.sends where message.peer != rank {
      let bytes: [UInt8] = try message.region.buffer.array(message.region.bytes)
      mail.waiting.withLock { $0[address(from: rank, to: message.peer), default: []].append(bytes) }
    }
    return Pending(communicator: self, receives: exchange.receives.filter { $0.peer != rank })
  }

  func split(color: Int) throws(MoEError) -> Self {
    let (ranks, number) = try numbers.group(color: color, of: self)
    return Self(
      rank: ranks.firstIndex(of: rank)!, worldRanks: ranks.map { worldRanks[$0] }, group: number, numbers: numbers,
      mail: mail)
  }

  private func address(from sender: Int, to receiver: Int) -> Mail.Address {
    Mail.Address(group: group, sender: worldRanks[sender], receiver: worldRanks[receiver])
  }

  final class Pending: PendingExchange {
    private let communicator: ThreadCommunicator
    private var receives: [Exchange<HostBuffer>.Message]

    init(communicator: ThreadCommunicator, receives: [Exchange<HostBuffer>.Message]) {
      self.communicator = communicator
      self.receives = receives
    }

    func isComplete() throws(MoEError) -> Bool {
      var blocked: Set<Int> = []
      var rest: [Exchange<HostBuffer>.Message] = []
      for message in receives {
        let address = communicator.address(from: message.peer, to: communicator.rank)
        let bytes =
          blocked.contains(message.peer)
          ? nil
          : communicator.mail.waiting.withLock { mail -> [UInt8]? in
            guard mail[address]?.isEmpty == false else { return nil }
            return mail[address]!.removeFirst()
          }
        guard let bytes else {
          blocked.insert(message.peer)
          rest.append(message)
          continue
        }
        precondition(bytes.count == message.region.bytes.count, "a message of another length than was expected")
        try message.region.buffer.write(bytes, at: message.region.bytes.lowerBound)
      }
      receives = rest
      return rest.isEmpty
    }

    func wait() throws(MoEError) {
      let deadline = Date(timeIntervalSinceNow: 60)
      while try !isComplete() {
        if communicator.mail.failed.withLock({ $0 }) || deadline < Date() {
          throw MoEError(.leftRank, "another thread has failed, or 60 s are over")
        }
        usleep(20)
      }
    }
  }
}
