// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import Glibc
internal import MoE
internal import Synchronization
internal import Tensors

/// All ranks of an MPI job, and what they tell each other beside their messages: whether they are there, and why they
/// leave.
final class MPIWorld: Sendable {
  let library: MPILibrary
  let rank: Int
  let size: Int
  let timeout: Duration
  let groupNumbers = GroupNumbers(first: Int(MPIWorld.firstTag) + 1)
  /// Only one thread may be inside the library.
  private let state = Mutex(State())

  /// The tag of notices; groups have ``firstTag`` and above.
  private static let noticeTag: Int32 = 1
  static let firstTag: Int32 = 16

  private struct State {
    /// Exchanges that are neither complete nor given up.
    var unfinished = 0
    /// Whether this rank has asked who is there, and who has answered.
    var hasAsked = false
    var present: Set<Int> = []
    /// Ranks that have left, and the reasons of those that weren't told by others.
    var left: Set<Int> = []
    var reasons: [Int: String] = [:]
  }

  /// What a notice says, beside a text: is anybody there, yes, I leave for this reason, I leave because another did.
  private enum Notice: UInt8 {
    case question, answer, farewell, following
  }

  private static let noticeBytes = 2048

  init(_ family: Launcher.Family, timeout: Duration) throws(MoEError) {
    library = try MPILibrary(family)
    try library.start()
    var numbers: (rank: Int32, size: Int32) = (0, 0)
    try unsafe library.check(library.functions.comm_rank(library.world, &numbers.rank), "MPI_Comm_rank")
    try unsafe library.check(library.functions.comm_size(library.world, &numbers.size), "MPI_Comm_size")
    (rank, size) = (Int(numbers.rank), Int(numbers.size))
    self.timeout = timeout
  }

  /// Calls the library, which no other thread does meanwhile.
  func call<Value: Sendable>(
    _ body: (moe_mpi) throws(MoEError) -> Value
  ) throws(MoEError) -> Value {
    let result = state.withLock { _ -> Result<Value, MoEError> in
      do throws(MoEError) { return .success(try body(library.functions)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  func exchangeBegan() { state.withLock { $0.unfinished += 1 } }
  func exchangeEnded() { state.withLock { $0.unfinished -= 1 } }

  func finalize() throws(MoEError) {
    try call { (mpi) throws(MoEError) in try library.check(mpi.finalize(), "MPI_Finalize") }
  }
}

// MARK: - Notices

extension MPIWorld {
  private var others: [Int] { (0..<size).filter { $0 != rank } }

  /// Sends a notice and forgets it: its memory stays, for who knows when it is read.
  private func send(_ notice: Notice, _ text: String = "", to peers: [Int]) throws(MoEError) {
    let bytes = [notice.rawValue] + Array(text.utf8.prefix(Self.noticeBytes - 1))
    for peer in peers {
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.noticeBytes, alignment: 8)
      unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
      unsafe memory.copyBytes(from: bytes)
      try call { (mpi) throws(MoEError) in
        var request: moe_mpi_handle = 0
        try unsafe library.check(
          mpi.isend(
            memory.baseAddress!, Int32(Self.noticeBytes), library.byteType, Int32(peer), Self.noticeTag, library.world,
            &request), "MPI_Isend")
      }
    }
  }

  /// Takes the notices that have come, and answers questions.
  ///
  /// - Throws: `leftRank` when one says that it has left.
  func readNotices() throws(MoEError) {
    for peer in others {
      while let (notice, text) = try receive(from: peer) {
        switch notice {
        case .question: try send(.answer, to: [peer])
        case .answer: _ = state.withLock { $0.present.insert(peer) }
        case .farewell, .following:
          state.withLock {
            $0.left.insert(peer)
            if notice == .farewell { $0.reasons[peer] = text }
          }
        }
      }
    }
    guard let (peer, text) = state.withLock({ $0.reasons.min { $0.key < $1.key } }) else { return }
    throw MoEError(.leftRank, "rank \(peer) has left: \(text)")
  }

  private func receive(from peer: Int) throws(MoEError) -> (Notice, String)? {
    let bytes = try call { (mpi) throws(MoEError) -> [UInt8]? in
      var (flag, status): (Int32, moe_mpi_status) = (0, moe_mpi_status())
      try unsafe library.check(
        mpi.iprobe(Int32(peer), Self.noticeTag, library.world, &flag, &status), "MPI_Iprobe")
      guard flag != 0 else { return nil }
      var bytes = [UInt8](repeating: 0, count: Self.noticeBytes)
      let code = unsafe bytes.withUnsafeMutableBytes { bytes in
        unsafe mpi.recv(
          bytes.baseAddress!, Int32(Self.noticeBytes), library.byteType, Int32(peer), Self.noticeTag, library.world,
          &status)
      }
      try library.check(code, "MPI_Recv")
      return bytes
    }
    guard let bytes, let notice = Notice(rawValue: bytes[0]) else { return nil }
    return (notice, String(decoding: bytes.dropFirst().prefix { $0 != 0 }, as: UTF8.self))
  }

  /// Asks all ranks whether they are there.
  func ask() throws(MoEError) {
    state.withLock {
      $0.present = []
      $0.hasAsked = true
    }
    try send(.question, to: others)
  }

  /// Who has not answered since ``ask()``.
  var silent: [Int] { state.withLock { state in others.filter { !state.present.contains($0) } } }

  /// Tells all ranks why this one leaves, hears why they do, and finalises if all have left and nothing is under way.
  ///
  /// It waits, so that those who can say something have said it before the launcher ends them.
  func leave(because reason: any Error) {
    let isTold = (reason as? MoEError)?.faults.first?.code == .leftRank
    do throws(MoEError) {
      try send(isTold ? .following : .farewell, "\(reason)", to: others)
      let patience = ContinuousClock.now + min(.seconds(1), timeout)
      let awaited = state.withLock { $0.hasAsked } ? Set(others).subtracting(silent) : Set(others)
      while !awaited.isSubset(of: state.withLock { $0.left }), ContinuousClock.now < patience {
        do throws(MoEError) { try readNotices() } catch  where error.faults[0].code == .leftRank {}
        usleep(1000)
      }
      let isOver = state.withLock { $0.left.count == others.count && $0.unfinished == 0 }
      if isOver { try finalize() }
    } catch {
      // The library is broken; there is nobody left to tell.
    }
  }
}
