// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEDistributed
import Synchronization
import Tensors
import Testing

/// Experts that move between ranks, and what happens when they can't.
@Suite struct ExpertMoveTests {
  static let test = ExpertsCase(experts: 6, hidden: 20, intermediate: 9, tokens: 5, topK: 3, hasBias: true)
  static let experts = RandomExperts(test.specification, seed: 1)
  static let hidden = randomValues(5 * 20, seed: 2)

  /// A layer of random experts on two ranks, and the output of one process.
  struct Ranks: Sendable {
    let backend: FakeDeviceBackend
    let layer: RankedExperts<FakeDeviceBackend, ThreadCommunicator>
    let world: ThreadCommunicator
    let expected: [Float]

    init(_ world: ThreadCommunicator, expertParallel: Int) throws {
      let backend = FakeDeviceBackend()
      let grid = try RankGrid(world, tensorParallel: 1, expertParallel: expertParallel, withSpares: true)
      let placement = try ExpertPlacement.initial(expertCount: 6, ranks: expertParallel)
      let own = grid.layout.map { Array(placement.experts(of: $0.expertRank)) } ?? []
      let layout = try backend.layout(of: test.specification)
      let storage = try backend.allocate(layout, expertCount: own.count)
      for (slot, expert) in own.enumerated() {
        try experts.store(expert.rawValue, on: backend, in: storage, at: slot)
      }
      layer = RankedExperts(
        backend: backend, storage: storage, grid: grid, placement: placement, dispatch: .allTokens)
      self.backend = backend
      self.world = world
      let whole = FakeDeviceBackend()
      expected = try whole.forward(experts.store(on: whole), hidden: hidden, routing: Self.routing())
    }

    static func routing() throws -> Routing { try randomRouting(tokens: 5, topK: 3, experts: 6, seed: 3) }

    func checkServes(_ what: String) throws {
      guard layer.grid.layout != nil else { return }
      expectSameBits(try layer.forward(hidden, routing: Self.routing()) {}, expected, what)
    }
  }

  private func placement(_ map: [Int], ranks: Int) throws -> ExpertPlacement {
    try ExpertPlacement(physicalToLogical: map, expertCount: 6, ranks: ranks)
  }

  /// A rank that can't store what it received: on all ranks the old placement serves, and a later move succeeds.
  @Test(arguments: [0, 1], [2, 3]) func halfWay(storedBefore: Int, ranks: Int) throws {
    let target = try placement([5, 4, 3, 2, 1, 0], ranks: ranks)
    _ = try ThreadCommunicator.run(ranks: 3) { world in
      let ranks = try Ranks(world, expertParallel: 2)
      if world.rank == 1 { ranks.backend.device.state.withLock { $0.replacesLeft = storedBefore } }
      let before = ranks.layer.placement
      expectFault(.outOfMemory, "on rank 1: the device is full") { try ranks.layer.migrate(to: target) }
      #expect(ranks.layer.placement == before)
      try ranks.checkServes("after a move that failed")
      try ranks.layer.migrate(to: target)
      #expect(ranks.layer.placement == target)
      try ranks.checkServes("after a move that succeeded")
    }
  }

  /// Faults of the placement, before anything moves.
  @Test func badPlacements() throws {
    let other = try ExpertPlacement(physicalToLogical: [0, 1, 2, 3], expertCount: 4, ranks: 2)
    let large = try ExpertPlacement.initial(expertCount: 6, ranks: 4)
    let mirrored = try placement([5, 4, 3, 2, 1, 0], ranks: 2)
    let usual = try placement([0, 1, 2, 3, 4, 5], ranks: 2)
    _ = try ThreadCommunicator.run(ranks: 3) { world in
      let ranks = try Ranks(world, expertParallel: 2)
      expectFault(.differingRanks, "on rank 2") {
        try ranks.layer.migrate(to: world.rank == 2 ? mirrored : usual)
      }
      expectFault(.invalidArgument, "6 experts") { try ranks.layer.migrate(to: other) }
      expectFault(.invalidArgument, "4 rank(s)") { try ranks.layer.migrate(to: large) }
      try ranks.checkServes("after refusals")
      if ranks.layer.grid.layout == nil {
        expectFault(.invalidArgument, "this rank is spare") {
          _ = try ranks.layer.forward(Self.hidden, routing: Ranks.routing()) {}
        }
      }
    }
  }

  /// Nothing moves that need not, and only bytes of regions do.
  @Test func onlyWhatIsMissingMoves() throws {
    let target = try placement([0, 4, 2, 3, 1, 5], ranks: 2)
    let replaced = try ThreadCommunicator.run(ranks: 2) { world in
      let ranks = try Ranks(world, expertParallel: 2)
      try ranks.layer.migrate(to: target)
      try ranks.checkServes("swapped")
      return ranks.backend.device.state.withLock { $0.replaces }
    }
    #expect(replaced == [1, 1])
  }

  /// Several layers, one after the other, while steps go on.
  @Test func layersOneByOne() throws {
    let targets = try [[5, 4, 3, 2, 1, 0], [0, 2, 4, 1, 3, 5]].map { try placement($0, ranks: 2) }
    _ = try ThreadCommunicator.run(ranks: 2) { world in
      let layers = try [Ranks(world, expertParallel: 2), Ranks(world, expertParallel: 2)]
      let migration = BackgroundMigration(zip(layers.map(\.layer), targets))
      var steps = 0
      while try !migration.advance() {
        for layer in layers { try layer.checkServes("step \(steps)") }
        // Layers change in their order.
        let moved = zip(layers, targets).map { $0.layer.placement == $1 }
        #expect(moved.count { $0 } == 2 - migration.remaining && moved != [false, true])
        steps += 1
      }
      #expect(steps >= 2 && layers.map(\.layer.placement) == targets)
      for layer in layers { try layer.checkServes("moved") }
      #expect(try migration.advance())
    }
  }

  /// The whole loop: loads are recorded as the layer runs, a balancer makes a placement of them, and experts move there.
  @Test func balancing() throws {
    let topology = try BalancingTopology(expertCount: 6, slots: 6, ranks: 2)
    let placements = try ThreadCommunicator.run(ranks: 2) { world in
      let ranks = try Ranks(world, expertParallel: 2)
      let load = Mutex(ExpertLoad(slotCounts: [6], window: 4))
      ranks.layer.observer = { ids, topK in load.withLock { $0.record(ids, topK: topK, layer: 0) } }
      // Experts 0 and 1, both on rank 0, have nearly all the load.
      for step in 0..<4 {
        let ids = (0..<20).map { Int32($0 % 10 < 9 ? $0 % 2 : 2 + step) }
        let routing = try Routing(topK: 1, ids: ids, weights: Array(repeating: 1, count: 20))
        _ = try ranks.layer.forward(randomValues(20 * 20, seed: 9), routing: routing) {}
        load.withLock { _ = $0.finishStep() }
      }
      let recorded = load.withLock { $0 }
      let placement = try LeastMoveBalancer().placements(
        for: [ranks.layer.placement.expertLoads(recorded.totals[0].map(Double.init))], on: topology,
        from: [ranks.layer.placement])[0]
      try ranks.layer.migrate(to: placement)
      try ranks.checkServes("balanced")
      return placement
    }
    #expect(placements[0] == placements[1])
    let busy = placements[0].replicas.prefix(2).map { placements[0].rank(of: $0[0]) }
    #expect(Set(busy).count == 2, "each rank has one of the two")
  }

  /// Ranks that route a batch differently find out.
  @Test func differentRoutings() throws {
    _ = try ThreadCommunicator.run(ranks: 2) { world in
      let ranks = try Ranks(world, expertParallel: 2)
      var routing = try Ranks.routing()
      if world.rank == 1 { routing.weights[3] += 1 }
      expectFault(.differingRanks, "route this batch otherwise") {
        _ = try ranks.layer.forward(Self.hidden, routing: routing) {}
      }
    }
  }
}
