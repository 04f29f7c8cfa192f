// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// The collectives, which are all made of one exchange.
@Suite struct CollectiveTests {
  @Test(arguments: [1, 2, 3, 4]) func allOfThem(ranks: Int) throws {
    _ = try ThreadCommunicator.run(ranks: ranks) { communicator in try check(communicator) }
  }

  @Test func alone() throws { try check(SingleProcess()) }

  private func check(_ world: some Communicator<HostBuffer>) throws {
    let (rank, size) = (world.rank, world.size)
    #expect(try world.allGather([rank, -rank]) == (0..<size).map { [$0, -$0] })
    // Of any lengths, also none.
    #expect(
      try world.allGather(Array(repeating: UInt8(rank), count: rank))
        == (0..<size).map { Array(repeating: UInt8($0), count: $0) })
    for root in 0..<size { #expect(try world.broadcast(rank == root ? [1.5, 2] : [], from: root) == [1.5, 2]) }
    let sent = (0..<size).map { Array(repeating: Int32(10 * rank + $0), count: (rank + $0) % 3) }
    let received = try world.allToAll(sent)
    #expect(received == (0..<size).map { Array(repeating: Int32(10 * $0 + rank), count: ($0 + rank) % 3) })
    try world.barrier()

    for count in [0, 1, 2, 7, 100] {
      let values = (0..<count).map { Float($0) * 0.1 + Float(rank) / 3 }
      let all = try world.allGather(values)
      let sums = (0..<count).map { index in all.dropFirst().reduce(all[0][index]) { $0 + $1[index] } }
      expectSameBits(try world.allReduce(values, by: .sum), sums, "sums in the order of ranks")
      let greatest = (0..<count).map { index in all.map { $0[index] }.max()! }
      #expect(try world.allReduce(values, by: .maximum) == greatest)
      #expect(try world.allReduce(values.map(Double.init), by: .sum).count == count)
      #expect(try world.allReduce([Int64(rank), 1], by: .sum) == [Int64(size * (size - 1) / 2), Int64(size)])
    }
  }

  /// Groups of groups, with messages in all of them.
  @Test func groups() throws {
    let ranks = 6
    _ = try ThreadCommunicator.run(ranks: ranks) { world in
      let half = try world.split(color: world.rank % 2)
      #expect(half.size == 3 && half.worldRanks == (0..<3).map { 2 * $0 + world.rank % 2 })
      #expect(try half.allGather([world.rank]).map { $0[0] } == half.worldRanks)
      // Only one half is split further.
      if world.rank % 2 == 0 {
        let pair = try half.split(color: half.rank / 2)
        #expect(pair.size == (half.rank < 2 ? 2 : 1))
        #expect(try pair.allReduce([Int64(1)], by: .sum) == [Int64(pair.size)])
      }
      let column = try world.split(color: world.rank / 3)
      #expect(try column.allGather([world.rank]).map { $0[0] } == column.worldRanks)
      #expect(try half.allReduce([Int64(world.rank)], by: .maximum) == [Int64(4 + world.rank % 2)])
      #expect(try world.allReduce([Int64(1)], by: .sum) == [6])
    }
  }

  @Test func badExchanges() throws {
    let single = SingleProcess()
    let region = BufferRegion(HostBuffer(byteCount: 8), 0..<8)
    var exchange = Exchange<HostBuffer>()
    exchange.send(region, to: 1)
    expectFault(.invalidArgument, "no such rank") { try single.exchange(exchange) }
    exchange = Exchange()
    exchange.send(region, to: 0)
    expectFault(.invalidArgument, "does not receive") { try single.exchange(exchange) }
    exchange.receive(BufferRegion(HostBuffer(byteCount: 8), 4..<12), from: 0)
    expectFault(.invalidArgument, "outside of its buffer") { try single.exchange(exchange) }
    expectFault(.invalidArgument, "F32, F64 or I64") { try single.fold(region, into: region, of: .bf16, by: .sum) }
  }
}
