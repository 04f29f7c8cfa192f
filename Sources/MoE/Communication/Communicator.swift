// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Tensors

/// Ranks that send each other bytes.
///
/// Everything between ranks is made of one primitive, an ``Exchange`` that is started and later waited for. A
/// communicator provides it in the memory where its messages lie: the host's (``HostBuffer``) for MPI, a device's for a
/// library that reads device memory. The collectives follow from it, the same on every communicator:
/// ``allReduce(_:of:by:)``, ``allGather(_:)``, ``allToAll(sending:receiving:)``, ``broadcast(_:from:)``, ``barrier()``.
///
/// ```swift
/// let sums = try communicator.allReduce(loads, by: .sum)      // arrays on the host
/// let group = try communicator.split(color: rank % 2)         // even and odd ranks
/// ```
///
/// All ranks of a group call the same collectives in the same order. One process alone is ``SingleProcess``.
public protocol Communicator<Buffer>: Sendable {
  /// Where messages lie.
  associatedtype Buffer

  /// This process among the ranks of the group, `0 ..< size`.
  var rank: Int { get }
  /// The numbers of the group's ranks among all that were started: what errors call them.
  var worldRanks: [Int] { get }

  /// Starts an exchange and returns at once. The buffers belong to it until it is complete.
  ///
  /// - Throws: `invalidArgument` for a peer that is none, and what the library says.
  func start(_ exchange: Exchange<Buffer>) throws(MoEError) -> any PendingExchange

  /// The group of those ranks that call this with the same color, in the order of their ranks here.
  func split(color: Int) throws(MoEError) -> Self

  /// Memory for messages, uninitialised.
  func makeBuffer(byteCount: Int) throws(MoEError) -> Buffer

  /// Folds numbers into others: target[i] = target[i] op source[i].
  func fold(
    _ source: BufferRegion<Buffer>, into target: BufferRegion<Buffer>, of type: ElementType, by reduction: Reduction
  ) throws(MoEError)
}

extension Communicator {
  /// The number of ranks in the group.
  public var size: Int { worldRanks.count }
}

/// How numbers of several ranks become one.
public enum Reduction: Sendable, Hashable {
  case sum
  case maximum
}

/// A part of a buffer.
public struct BufferRegion<Buffer> {
  public var buffer: Buffer
  public var bytes: Range<Int>

  public init(_ buffer: Buffer, _ bytes: Range<Int>) {
    self.buffer = buffer
    self.bytes = bytes
  }
}

/// What a rank sends to and receives from others at once.
///
/// Between two ranks, the first message that one sends is the first that the other receives, and so on; both say the
/// same length. A rank may send to itself, which is a copy. Messages without bytes are not sent.
public struct Exchange<Buffer> {
  /// A region and the rank that it goes to or comes from.
  public struct Message {
    public var peer: Int
    public var region: BufferRegion<Buffer>
  }

  public private(set) var sends: [Message] = []
  public private(set) var receives: [Message] = []

  public init() {}

  public mutating func send(_ region: BufferRegion<Buffer>, to peer: Int) {
    if !region.bytes.isEmpty { sends.append(Message(peer: peer, region: region)) }
  }

  public mutating func receive(_ region: BufferRegion<Buffer>, from peer: Int) {
    if !region.bytes.isEmpty { receives.append(Message(peer: peer, region: region)) }
  }
}

/// An exchange under way.
public protocol PendingExchange {
  /// Whether all messages have gone and come. Does not wait.
  func isComplete() throws(MoEError) -> Bool
  /// Returns when all have.
  ///
  /// - Throws: `silentRank` naming the ranks that stopped answering, `leftRank` for one that ended.
  func wait() throws(MoEError)
}

extension Fault.Code {
  /// A rank does not answer any more.
  public static let silentRank = Self(rawValue: "silentRank")
  /// A rank has ended and said why.
  public static let leftRank = Self(rawValue: "leftRank")
  /// Ranks of one group were started with different things.
  public static let differingRanks = Self(rawValue: "differingRanks")
  /// The communication library is missing or reports an error.
  public static let communication = Self(rawValue: "communication")
}
