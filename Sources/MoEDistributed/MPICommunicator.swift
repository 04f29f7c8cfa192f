// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
internal import Synchronization

/// Ranks under an MPI launcher, with an MPI library that is found at run time.
///
/// ```swift
/// try MPICommunicator.withWorld(timeout: .seconds(60)) { world in
///   let experts = try world.split(color: world.rank / 4)
///   …
/// }                                         // MPI is finalised here
/// ```
///
/// **Never a hang.** All messages are point-to-point and asynchronous; whoever waits asks the library again and again,
/// and meanwhile answers the questions of others. Who has waited for nearly the timeout asks every rank whether it is
/// there: what doesn't answer is named in the error. A rank that computes doesn't answer, so the timeout must be longer
/// than the work between two exchanges. A rank that ends by an error tells the others, and they end at once, with its
/// words.
///
/// **Groups** are ranks of the world whose messages have a number of their own: making one costs an exchange and no
/// resource of MPI, so groups may change as often as one likes.
public struct MPICommunicator: Communicator {
  public let rank: Int
  public let worldRanks: [Int]
  private let tag: Int32
  private let world: MPIWorld

  private init(_ world: MPIWorld, rank: Int, worldRanks: [Int], tag: Int32) {
    self.world = world
    self.rank = rank
    self.worldRanks = worldRanks
    self.tag = tag
  }

  /// Starts MPI, calls `body` with the group of all ranks, and finalises.
  ///
  /// When `body` throws, the other ranks are told why, and MPI is finalised if all ranks end; with a rank that doesn't,
  /// it can't be: the launcher ends what is left when this process exits.
  ///
  /// - Parameters:
  ///   - timeout: how long a rank may not answer.
  ///   - report: called with an error before the others hear of it. A launcher may end all ranks when the first one has
  ///     ended; so much have all said by then.
  /// - Throws: `communication` without a library, and what `body` throws.
  public static func withWorld<Result>(
    timeout: Duration, launcher: Launcher, reporting report: (any Error) -> Void = { _ in },
    _ body: (Self) throws -> Result
  ) throws -> Result {
    var world: MPIWorld?
    do {
      let started = try MPIWorld(launcher.family, timeout: timeout)
      world = started
      let communicator = Self(
        started, rank: started.rank, worldRanks: Array(0..<started.size), tag: MPIWorld.firstTag)
      let result = try body(communicator)
      try communicator.barrier()
      try started.finalize()
      return result
    } catch {
      report(error)
      world?.leave(because: error)
      throw error
    }
  }

  /// What the library calls itself.
  public var libraryVersion: String { world.library.version }

  public func start(_ exchange: Exchange<HostBuffer>) throws(MoEError) -> any PendingExchange {
    try exchange.validate(rank: rank, size: size)
    try exchange.copyOwn(rank: rank)
    return try MPIExchange(exchange, peers: worldRanks, own: rank, tag: tag, in: world)
  }

  public func split(color: Int) throws(MoEError) -> Self {
    let (ranks, number) = try world.groupNumbers.group(color: color, of: self)
    // What every MPI has to offer.
    guard let tag = Int32(exactly: number), tag < 32768 else {
      throw MoEError(.communication, "too many groups of ranks were made", expected: "at most 32,000")
    }
    return Self(world, rank: ranks.firstIndex(of: rank)!, worldRanks: ranks.map { worldRanks[$0] }, tag: tag)
  }
}
