// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
internal import Tensors

/// The experts of one layer on their way to another placement.
///
/// What moves is the contiguous region that a backend keeps of each expert, so every format moves in the same way. Experts
/// are received beside the old ones, and the old placement serves until ``finish()``; an error on any rank, at any time,
/// leaves it serving.
///
/// ```swift
/// let move = try experts.beginMove(to: placement)       // on all ranks, between two steps
/// while try !move.advance() { try step() }              // steps on the old placement, until all have received
/// try step()                                            // on the new one
/// ```
///
/// **Memory.** What a rank sends and receives of one layer, beside its experts.
public final class ExpertMove<B: Backend, C: Communicator> where C.Buffer == HostBuffer {
  private let experts: RankedExperts<B, C>
  private let grid: RankGrid<C>
  private let placement: ExpertPlacement
  private let migration: Migration
  /// What slots of the new placement get.
  private var staged: [LocalExpert: HostBuffer] = [:]
  private let pending: any PendingExchange
  private var isOver = false

  init(_ experts: RankedExperts<B, C>, to placement: ExpertPlacement) throws(MoEError) {
    let old = experts.current
    let world = old.grid.world
    try world.requireEqual([("placement", placement.digest)])
    let migration = try Migration(from: old.placement, to: placement)
    let isResized = placement.rankCount != old.grid.expertParallel
    grid = isResized ? try old.grid.resized(expertParallel: placement.rankCount) : old.grid
    let rank = grid.column.rank
    var staged: [LocalExpert: HostBuffer] = [:]
    let exchange = try world.together {
      var exchange = Exchange<HostBuffer>()
      var outgoing: [LocalExpert: HostBuffer] = [:]
      for copy in migration.copies where copy.rank == rank { staged[copy.to] = try experts.copy(of: copy.from) }
      for transfer in migration.transfers where transfer.sender == rank {
        if outgoing[transfer.from] == nil { outgoing[transfer.from] = try experts.copy(of: transfer.from) }
        exchange.send(outgoing[transfer.from]!.whole, to: transfer.receiver)
      }
      for transfer in migration.transfers where transfer.receiver == rank {
        let bytes = HostBuffer(byteCount: try experts.bytesPerExpert)
        staged[transfer.to] = bytes
        exchange.receive(bytes.whole, from: transfer.sender)
      }
      return exchange
    }
    self.experts = experts
    self.placement = placement
    self.migration = migration
    self.staged = staged
    pending = try grid.column.start(exchange)
  }

  /// Goes on, without waiting for experts; called on all ranks between two steps.
  ///
  /// - Returns: whether all ranks have received all, and the new placement serves.
  public func advance() throws(MoEError) -> Bool {
    guard !isOver else { return true }
    let world = experts.grid.world
    let missing = try world.allReduce([Int64(pending.isComplete() ? 0 : 1)], by: .sum)[0]
    if missing == 0 { try finish() }
    return isOver
  }

  /// Waits for what has not come, and puts the new placement in charge; called on all ranks.
  public func finish() throws(MoEError) {
    guard !isOver else { return }
    let world = experts.grid.world
    try world.together { try pending.wait() }
    for copy in migration.duplicates where copy.rank == grid.column.rank {
      staged[copy.to] = try staged[copy.from]!.copy()
    }
    var replacement: B.Storage?
    var exchanged: [LocalExpert] = []
    let old = experts.current
    do throws(MoEError) {
      try world.together {
        let count = grid.layout.map { placement.slots(of: $0.expertRank).count } ?? 0
        if count == experts.slotCount {
          for slot in staged.keys {
            try exchange(slot)
            exchanged.append(slot)
          }
        } else {
          replacement = try filled(count)
        }
      }
    } catch {
      // Another rank may have failed: the old experts go back to where they were.
      do throws(MoEError) { for slot in exchanged { try exchange(slot) } } catch let lost {
        throw MoEError(
          error.faults + lost.faults + [
            Fault(.invalidValue, "experts could not be put back", remedy: "load the layer again")
          ])
      }
      throw error
    }
    isOver = true
    var new = experts.current
    new.grid = grid
    new.placement = placement
    new.storage = replacement ?? old.storage
    experts.current = new
    staged = [:]
  }

  /// Swaps a slot's bytes with what is staged for it.
  private func exchange(_ slot: LocalExpert) throws(MoEError) {
    let old = try experts.copy(of: slot)
    try unsafe experts.backend.replace(slot, in: experts.storage, with: UnsafeRawBufferPointer(staged[slot]!.bytes))
    staged[slot] = old
  }

  /// Other memory with all experts of the new placement.
  private func filled(_ count: Int) throws(MoEError) -> B.Storage {
    let backend = experts.backend
    let storage = try backend.allocate(
      backend.layout(of: backend.specification(of: experts.storage)), expertCount: count)
    if let scales = backend.inputScales(of: experts.storage) { try backend.setInputScales(scales, in: storage) }
    for slot in (0..<count).map(LocalExpert.init) {
      let bytes = if let bytes = staged[slot] { bytes } else { try experts.copy(of: slot) }
      try unsafe backend.replace(slot, in: storage, with: UnsafeRawBufferPointer(bytes.bytes))
    }
    return storage
  }
}

extension RankedExperts {
  /// Moves experts to where another placement has them, and serves from there.
  ///
  /// Called on all ranks between two steps. The placement may be of more or fewer expert-parallel ranks than before, as
  /// long as there are spare ones.
  ///
  /// - Throws: before anything moves, `differingRanks` for different placements and `invalidArgument` for one of another
  ///   layer or of too many ranks. Whatever is thrown, the old placement goes on serving.
  public func migrate(to placement: ExpertPlacement) throws(MoEError) { try beginMove(to: placement).finish() }

  /// The same in the background of steps.
  public func beginMove(to placement: ExpertPlacement) throws(MoEError) -> ExpertMove<B, C> {
    try ExpertMove(self, to: placement)
  }

  var slotCount: Int { backend.specification(of: storage).expertCount }

  var bytesPerExpert: Int {
    get throws(MoEError) { try backend.layout(of: backend.specification(of: storage)).bytesPerExpert }
  }

  /// The bytes of a slot in memory of its own.
  func copy(of slot: LocalExpert) throws(MoEError) -> HostBuffer {
    try unsafe backend.withBytes(of: slot, in: storage) { (bytes) throws(MoEError) in
      let copy = HostBuffer(byteCount: bytes.count)
      unsafe copy.bytes.copyMemory(from: bytes)
      return copy
    }
  }
}

extension HostBuffer {
  fileprivate var whole: BufferRegion<HostBuffer> { BufferRegion(self, 0..<byteCount) }

  fileprivate func copy() throws(MoEError) -> HostBuffer {
    let copy = HostBuffer(byteCount: byteCount)
    unsafe copy.bytes.copyMemory(from: UnsafeRawBufferPointer(bytes))
    return copy
  }
}
