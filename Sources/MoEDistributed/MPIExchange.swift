// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import Glibc
internal import MoE

/// The messages of one rank that are under way.
final class MPIExchange: PendingExchange {
  private let world: MPIWorld
  private var requests: [Request] = []
  private var isOver = false

  private struct Request {
    var handle: moe_mpi_handle = 0
    /// In the world.
    var peer: Int
    /// Keeps the memory alive.
    var buffer: HostBuffer
  }

  /// Bytes of one call at most: MPI counts in 32 bits.
  private static let pieceBytes = 1 << 30

  init(
    _ exchange: Exchange<HostBuffer>, peers: [Int], own: Int, tag: Int32, in world: MPIWorld
  ) throws(MoEError) {
    self.world = world
    // Receives first, so that what comes finds its place.
    for (messages, isSend) in [(exchange.receives, false), (exchange.sends, true)] {
      for message in messages where message.peer != own {
        try post(message.region, peer: peers[message.peer], tag: tag, isSend: isSend)
      }
    }
    world.exchangeBegan()
  }

  deinit {
    guard !isOver else { return }
    // The library may still write: the memory of messages that were given up stays.
    for request in requests { _ = unsafe Unmanaged.passRetained(request.buffer) }
  }

  private func post(_ region: BufferRegion<HostBuffer>, peer: Int, tag: Int32, isSend: Bool) throws(MoEError) {
    var start = region.bytes.lowerBound
    while start < region.bytes.upperBound {
      let end = min(start + Self.pieceBytes, region.bytes.upperBound)
      let memory = unsafe try region.buffer.slice(start..<end)
      var request = Request(peer: peer, buffer: region.buffer)
      let library = world.library
      request.handle = try world.call { (mpi) throws(MoEError) in
        var handle: moe_mpi_handle = 0
        let (base, count) = (memory.baseAddress!, Int32(memory.count))
        if isSend {
          try unsafe library.check(
            mpi.isend(base, count, library.byteType, Int32(peer), tag, library.world, &handle), "MPI_Isend")
        } else {
          try unsafe library.check(
            mpi.irecv(base, count, library.byteType, Int32(peer), tag, library.world, &handle), "MPI_Irecv")
        }
        return handle
      }
      requests.append(request)
      start = end
    }
  }

  func isComplete() throws(MoEError) -> Bool {
    guard !isOver else { return true }
    let library = world.library
    var waiting = requests
    waiting = try world.call { [waiting] (mpi) throws(MoEError) in
      var rest: [Request] = []
      for var request in waiting {
        var (flag, status): (Int32, moe_mpi_status) = (0, moe_mpi_status())
        try unsafe library.check(mpi.test(&request.handle, &flag, &status), "MPI_Test")
        if flag == 0 { rest.append(request) }
      }
      return rest
    }
    requests = waiting
    guard requests.isEmpty else { return false }
    isOver = true
    world.exchangeEnded()
    return true
  }

  /// Asks the library again and again: at first at once, after a while with pauses, so that others get the processor.
  func wait() throws(MoEError) {
    let start = ContinuousClock.now
    let question = start + world.timeout - min(world.timeout / 4, .seconds(1))
    let end = start + world.timeout
    var nextNotices = start + .milliseconds(1)
    var hasAsked = false
    var farewell: (error: MoEError, patience: ContinuousClock.Instant)?
    while try !isComplete() {
      let now = ContinuousClock.now
      if now >= nextNotices {
        nextNotices = now + .milliseconds(1)
        do throws(MoEError) { try world.readNotices() } catch {
          // What others have sent may yet come: this rank then ends by an error of its own, if it is also its own.
          farewell = farewell ?? (error, now + min(.milliseconds(500), world.timeout / 4))
        }
      }
      if let farewell, now >= farewell.patience { throw farewell.error }
      if now >= question, !hasAsked {
        try world.ask()
        hasAsked = true
      }
      if now >= end { throw diagnosis() }
      if now - start < .milliseconds(5) { sched_yield() } else { usleep(100) }
    }
  }

  /// Who is to blame for messages that don't come.
  private func diagnosis() -> MoEError {
    let awaited = Set(requests.map(\.peer)).sorted()
    let silent = world.silent
    let blamed = silent.filter(awaited.contains)
    let after = "within \(world.timeout.components.seconds) s"
    func list(_ ranks: [Int]) -> String {
      (ranks.count == 1 ? "rank " : "ranks ") + ranks.map(String.init).joined(separator: ", ")
    }
    guard !silent.isEmpty else {
      return MoEError(
        .silentRank, "\(list(awaited)) answered, but sent nothing \(after): the ranks do different things",
        subject: "rank \(world.rank)")
    }
    return MoEError(
      .silentRank, "\(list(blamed.isEmpty ? silent : blamed)) did not answer \(after)",
      subject: "rank \(world.rank)",
      found: blamed.isEmpty ? "\(list(awaited)), which waits too" : nil,
      remedy: "see whether the process still runs; give a longer --timeout if its work takes so long")
  }
}
