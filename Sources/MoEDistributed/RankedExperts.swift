// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import MoE
internal import Synchronization

/// The experts of a layer on the ranks of a grid: this rank's share, and how batches are computed with the others.
///
/// All members of the grid call ``forward(_:routing:meanwhile:)`` equally often. Experts move between two calls, on all
/// ranks at once: ``migrate(to:)``, or ``ExpertMove`` while calls go on.
public final class RankedExperts<B: Backend, C: Communicator>: ExpertRunner where C.Buffer == HostBuffer {
  public let backend: B
  private let state: Mutex<State>
  private let times = Mutex(PhaseTimes())

  /// What changes when experts move.
  struct State: Sendable {
    var dispatch: Dispatch
    var grid: RankGrid<C>
    var placement: ExpertPlacement
    var storage: B.Storage
    var observer: RoutingObserver?
  }

  /// Sees the slots of the placement that this rank routes a batch to, `[tokens, topK]`, −1 where a token skips one.
  public typealias RoutingObserver = @Sendable (_ physicalIDs: [Int32], _ topK: Int) -> Void

  /// - Parameter storage: this rank's slots of `placement`, filled; no slots on a spare rank.
  public init(
    backend: B, storage: B.Storage, grid: RankGrid<C>, placement: ExpertPlacement, dispatch: Dispatch
  ) {
    self.backend = backend
    state = Mutex(State(dispatch: dispatch, grid: grid, placement: placement, storage: storage))
  }

  /// What serves now.
  var current: State {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }

  /// How batches travel; it may change between two calls, on all ranks at once.
  public var dispatch: Dispatch {
    get { current.dispatch }
    set { state.withLock { $0.dispatch = newValue } }
  }

  /// Who counts the load, for example into an `ExpertLoad`. With all tokens on every rank each sees the whole load, else the
  /// sum over ranks is it.
  public var observer: RoutingObserver? {
    get { current.observer }
    set { state.withLock { $0.observer = newValue } }
  }

  public var storage: B.Storage { current.storage }
  /// The placement that serves now.
  public var placement: ExpertPlacement { current.placement }
  public var grid: RankGrid<C> { current.grid }
  /// What the forwards since ``resetTimes()`` have spent.
  public var phaseTimes: PhaseTimes { times.withLock { $0 } }

  public func resetTimes() { times.withLock { $0 = PhaseTimes() } }

  /// - Throws: `invalidArgument` on a spare rank, and what ends the communication.
  public func forward(
    _ hidden: [Float], routing: Routing, meanwhile: () throws(MoEError) -> Void
  ) throws(MoEError) -> [Float] {
    let state = current
    guard let layout = state.grid.layout else {
      throw MoEError(
        .invalidArgument, "this rank is spare", subject: "rank \(state.grid.world.worldRanks[state.grid.world.rank])",
        expected: "one of the \(state.grid.members.size) ranks that have experts")
    }
    try routing.validate(idCount: state.placement.expertCount)
    var batch = RankedBatch(
      backend: backend, grid: state.grid, storage: state.storage,
      map: ExpertMap(state.placement, rank: layout.expertRank), hidden: hidden, routing: routing)
    state.observer?(batch.physical, routing.topK)
    let output =
      switch state.grid.experts.size == 1 ? .allReduce : state.dispatch {
      case .allReduce: try batch.allReduce(meanwhile)
      case .allTokens: try batch.allTokens(meanwhile)
      case .allToAll: try batch.allToAll(meanwhile)
      }
    times.withLock { $0 += batch.clock.times }
    return output
  }
}
