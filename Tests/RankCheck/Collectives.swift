// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEDistributed

/// Every collective over MPI, in the world and in groups of it.
func checkCollectives(_ world: MPICommunicator, _: [String]) throws {
  try checkThreads(world)
  try check(world, "the world")
  for ways in 1...world.size {
    let group = try world.split(color: world.rank % ways)
    try require(
      group.worldRanks == Array(stride(from: world.rank % ways, to: world.size, by: ways)),
      "a group has the ranks \(group.worldRanks)")
    try check(group, "a group of \(group.size)")
  }
  passed("collectives on \(world.size) ranks of \(world.libraryVersion)", world)
}

/// Ranks on one host share its processors; nobody is pinned where there are too few.
private func checkThreads(_ world: MPICommunicator) throws {
  let available = WorkerPool.availableProcessors
  try require(WorkerPool.defaultThreadCount == max(1, available / world.size), "the default number of threads")
  for threads in 1...available {
    let isPinned = WorkerPool(threads: threads)?.isPinned
    try require(isPinned == (threads * world.size <= available), "\(threads) workers on each rank: pinned or not")
  }
}

private func check(_ group: MPICommunicator, _ what: String) throws {
  let (rank, size) = (group.rank, group.size)
  // Small messages, which MPI buffers, and large ones, which it does not.
  for count in [1, 1000, 40_000] {
    let values = (0..<count).map { Float($0 % 97) + Float(rank) / 3 }
    let all = try group.allGather(values)
    let expected = (0..<size).map { rank in (0..<count).map { Float($0 % 97) + Float(rank) / 3 } }
    try require(all == expected, "\(what): all-gather of \(count)")
    let sums = expected.dropFirst().reduce(expected[0]) { zip($0, $1).map { $0 + $1 } }
    try require(try group.allReduce(values, by: .sum) == sums, "\(what): sum of \(count)")
    try require(try group.allReduce(values, by: .maximum) == expected[size - 1], "\(what): maximum of \(count)")
    let sent = (0..<size).map { Array(repeating: Int32(rank * 100 + $0), count: (rank + 2 * $0) % 3 * count) }
    let received = (0..<size).map { Array(repeating: Int32($0 * 100 + rank), count: ($0 + 2 * rank) % 3 * count) }
    try require(try group.allToAll(sent) == received, "\(what): all-to-all of \(count)")
    try require(try group.broadcast(values, from: size - 1) == expected[size - 1], "\(what): broadcast of \(count)")
  }
  try group.barrier()
}
