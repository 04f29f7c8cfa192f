// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import MoEDistributed

/// A layer over the ranks of a world against the same layer in one process, in every way of running it, with experts
/// that move.
///
/// Bits are compared wherever no expert is cut; else, and where partial sums are added, values within the rounding of 32
/// bits.
struct LayerCheck<B: Backend, C: Communicator> where C.Buffer == HostBuffer {
  let model: MoEModel
  let layer: MoEModel.Layer
  let backend: B
  let world: C
  private let hidden: [Float]
  private let tokenIDs: [Int32]
  private let expected: MoEOutput

  /// Few enough for a rank to have none, and no multiple of any number of ranks.
  static var tokenCount: Int { 7 }

  init(_ layer: MoEModel.Layer, of model: MoEModel, on backend: B, over world: C) throws {
    self.model = model
    self.layer = layer
    self.backend = backend
    self.world = world
    var state: UInt32 = 1
    hidden = (0..<Self.tokenCount * layer.hiddenSize).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8) / Float(1 << 23) - 1
    }
    tokenIDs = (0..<Self.tokenCount).map { Int32($0 * 7 % 24) }
    expected = try MoELayer(layer, of: model, on: backend).forward(hidden, MoEInput(tokenIDs: tokenIDs))
    try require(expected.output.allSatisfy(\.isFinite), "the output in one process is not finite")
  }

  private var expertCount: Int { layer.specification.expertCount }

  /// Every way that this number of ranks allows.
  func everything() throws {
    let size = world.size
    let exact = [Dispatch.allTokens, .allToAll]
    let once = try ExpertPlacement.initial(expertCount: expertCount, ranks: size)
    let roundRobin = try PlacementStrategy.roundRobin.placement(expertCount: expertCount, ranks: size)
    try check(exact + [.allReduce], once, moves: [roundRobin])
    let redundant = ExpertPlacement.leastRedundant(expertCount: expertCount, ranks: size) + size
    let replicated = try ExpertPlacement.initial(expertCount: expertCount, redundant: redundant, ranks: size)
    try check(exact, replicated, moves: [try reversed(replicated)])
    try check([.allTokens], tensorParallel: size, .initial(expertCount: expertCount))
    guard size == 4 else { return }
    let halves = try ExpertPlacement.initial(expertCount: expertCount, ranks: 2)
    try check(exact, tensorParallel: 2, halves, moves: [try reversed(halves)])
    let larger = try [4, 3].map { try ExpertPlacement.initial(expertCount: expertCount, ranks: $0) }
    try check(exact, halves, moves: larger)
  }

  /// The experts in the opposite order.
  private func reversed(_ placement: ExpertPlacement) throws -> ExpertPlacement {
    try ExpertPlacement(
      physicalToLogical: placement.logical.map(\.rawValue).reversed(), expertCount: expertCount,
      ranks: placement.rankCount)
  }

  /// Loads the layer in a placement, runs it, and moves it through others, running it before, during and after.
  func check(
    _ ways: [Dispatch], tensorParallel: Int = 1, _ placement: ExpertPlacement, moves: [ExpertPlacement] = []
  ) throws {
    let grid = try RankGrid(
      world, tensorParallel: tensorParallel, expertParallel: placement.rankCount, withSpares: true)
    let loading = RankLoading(grid) { (_) throws(MoEError) in placement }
    let loaded: MoELayer = try MoELayer(layer, of: model, on: backend, by: loading)
    guard let runner = loaded.experts.runner as? RankedExperts<B, C> else {
      throw MoEError(.invalidValue, "the experts are not on ranks")
    }
    func compare(_ when: String) throws {
      for way in ways {
        runner.dispatch = way
        try self.compare(
          loaded, runner,
          "\(way), tensor parallel \(tensorParallel), \(placement.redundantCount) redundant, \(when)")
      }
    }
    try compare("as loaded")
    for (index, next) in moves.enumerated() {
      // Once in the background and once at once.
      if index % 2 == 0 {
        let migration = BackgroundMigration([(runner, next)])
        while try !migration.advance() { try compare("while experts move") }
      } else {
        try runner.migrate(to: next)
      }
      try require(runner.placement == next, "the placement did not change")
      try compare("moved to \(next.rankCount) ranks")
    }
  }

  private func compare(_ loaded: MoELayer<B>, _ runner: RankedExperts<B, C>, _ what: String) throws {
    guard let place = runner.grid.layout else { return }
    let count = Self.tokenCount
    let own =
      runner.dispatch == .allToAll
      ? count * place.expertRank / place.expertParallel..<count * (place.expertRank + 1) / place.expertParallel
      : 0..<count
    let width = layer.hiddenSize
    let found = try loaded.forward(
      Array(hidden[own.lowerBound * width..<own.upperBound * width]), MoEInput(tokenIDs: Array(tokenIDs[own])))
    let isExact = place.tensorParallel == 1 && runner.dispatch != .allReduce
    func compare(_ name: String, _ found: [Float], _ expected: [Float]) throws {
      let width = expected.count / count
      let expected = Array(expected[own.lowerBound * width..<own.upperBound * width])
      let isSame =
        isExact ? found.map(\.bitPattern) == expected.map(\.bitPattern) : relativeError(found, expected) < 3e-6
      try require(
        isSame, "\(model.checkpoint.name), \(what): \(name) differs by \(relativeError(found, expected))")
    }
    try compare("output", found.output, expected.output)
    try compare("routed output", found.routed, expected.routed)
    try compare("shared output", found.shared ?? [], expected.shared ?? [])
  }

  private func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
    guard found.count == expected.count else { return .infinity }
    var (difference, size) = (0.0, 0.0)
    for (a, b) in zip(found, expected) {
      difference += Double(a - b) * Double(a - b)
      size += Double(b) * Double(b)
    }
    return difference == 0 ? 0 : (difference / size).squareRoot()
  }
}

/// Checks the last layer of every checkpoint.
func checkLayers(_ world: MPICommunicator, _ folders: [String]) throws {
  let backend = CPUBackend()
  for folder in folders {
    let model = try MoEModel(opening: folder)
    try LayerCheck(model.layers.last!, of: model, on: backend, over: world).everything()
    passed(folder, world)
  }
}
