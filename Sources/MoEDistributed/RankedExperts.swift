// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
internal import Synchronization

/// The experts of a layer on the ranks of a grid: this rank's share, and how batches are computed with the others.
///
/// All ranks call ``forward(_:routing:meanwhile:)`` equally often. Placements, and with them the maps, change between two
/// calls, on all ranks at once (see `migrate`).
public final class RankedExperts<B: Backend, C: Communicator>: ExpertRunner where C.Buffer == HostBuffer {
  public let backend: B
  public let dispatch: Dispatch
  let state: Mutex<State>
  private let times = Mutex(PhaseTimes())

  /// What changes when experts move.
  struct State: Sendable {
    var grid: RankGrid<C>
    var storage: B.Storage
    var map: ExpertMap
  }

  /// - Parameter storage: this rank's slots of `placement`, filled.
  public init(
    backend: B, storage: B.Storage, grid: RankGrid<C>, placement: ExpertPlacement, dispatch: Dispatch
  ) {
    self.backend = backend
    self.dispatch = dispatch
    state = Mutex(
      State(grid: grid, storage: storage, map: ExpertMap(placement, rank: grid.layout.expertRank)))
  }

  public var storage: B.Storage { state.withLock { $0.storage } }
  /// The placement that serves now.
  public var placement: ExpertPlacement { state.withLock { $0.map.placement } }
  public var grid: RankGrid<C> { state.withLock { $0.grid } }
  /// What the forwards since ``resetTimes()`` have spent.
  public var phaseTimes: PhaseTimes { times.withLock { $0 } }

  public func resetTimes() { times.withLock { $0 = PhaseTimes() } }

  public func forward(
    _ hidden: [Float], routing: Routing, meanwhile: () throws(MoEError) -> Void
  ) throws(MoEError) -> [Float] {
    let state = state.withLock { $0 }
    try routing.validate(idCount: state.map.placement.expertCount)
    var batch = Batch(
      backend: backend, state: state, hidden: hidden, routing: routing,
      physical: state.map.placement.physicalIDs(of: routing))
    let output =
      switch dispatch {
      case .allReduce: try batch.allReduce(meanwhile)
      case .allTokens where state.grid.experts.size == 1: try batch.allReduce(meanwhile)
      case .allTokens: try batch.allTokens(meanwhile)
      case .allToAll where state.grid.experts.size == 1: try batch.allReduce(meanwhile)
      case .allToAll: try batch.allToAll(meanwhile)
      }
    times.withLock {
      $0.dispatch += batch.clock.times.dispatch
      $0.compute += batch.clock.times.compute
      $0.combine += batch.clock.times.combine
    }
    return output
  }

  /// One call of `forward`.
  struct Batch {
    let backend: B
    let state: State
    let hidden: [Float]
    let routing: Routing
    /// Slots of the placement, `[tokens, topK]`.
    let physical: [Int32]
    var clock = PhaseClock()

    var width: Int { backend.specification(of: state.storage).hiddenSize }
    var rowBytes: Int { backend.rowBytes(of: state.storage) }
  }
}
