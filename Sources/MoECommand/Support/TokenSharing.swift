// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoEDistributed

/// Which tokens of a batch a process runs, and how the results of all come together: all tokens where it is alone.
struct TokenSharing {
  /// The ranks of a launcher, if there are several.
  let grid: RankGrid<MPICommunicator>?
  let isSpread: Bool

  static let alone = Self(grid: nil, isSpread: false)

  init(grid: RankGrid<MPICommunicator>?, isSpread: Bool) {
    self.grid = grid
    self.isSpread = isSpread
  }

  /// Whether this process prints and writes.
  var isFirst: Bool { grid.map { $0.world.rank == 0 } ?? true }

  /// Does what may fail on some ranks, and fails on all if it does.
  func together<Value>(_ body: () throws -> Value) throws -> Value {
    guard let grid else { return try body() }
    return try grid.world.together(body)
  }

  /// The tokens of this rank.
  func own(of count: Int) -> Range<Int> {
    guard isSpread, let layout = grid?.layout else { return 0..<count }
    let (rank, ranks) = (layout.expertRank, layout.expertParallel)
    return count * rank / ranks..<count * (rank + 1) / ranks
  }

  /// The results of all tokens.
  func gather(_ output: MoEOutput) throws(MoEError) -> MoEOutput {
    guard isSpread, let group = grid?.experts else { return output }
    func all<Element: BitwiseCopyable>(_ values: [Element]) throws(MoEError) -> [Element] {
      try group.allGather(values).flatMap(\.self)
    }
    var whole = output
    whole.routing = try Routing(
      topK: output.routing.topK, ids: all(output.routing.ids), weights: all(output.routing.weights))
    whole.routed = try all(output.routed)
    whole.shared = try output.shared.map(all)
    whole.output = try all(output.output)
    return whole
  }
}

extension Routing {
  /// The routing of some of the tokens.
  func tokens(_ range: Range<Int>) throws(MoEError) -> Routing {
    let slots = range.lowerBound * topK..<range.upperBound * topK
    return try Routing(topK: topK, ids: Array(ids[slots]), weights: Array(weights[slots]))
  }
}

extension MoEInput {
  /// The rows of some tokens of a batch of `count`.
  func rows(_ tokens: Range<Int>, of count: Int) throws(MoEError) -> MoEInput {
    guard tokens.count < count else { return self }
    func rows<Element>(_ values: [Element]) -> [Element] {
      let width = values.count / count
      return Array(values[tokens.lowerBound * width..<tokens.upperBound * width])
    }
    return MoEInput(
      expertInput: expertInput.map(rows), routerLogits: routerLogits.map(rows),
      routing: try routing.map { (routing) throws(MoEError) in try routing.tokens(tokens) },
      tokenIDs: tokenIDs.map(rows), isPadding: isPadding.map(rows), residual: residual.map(rows))
  }
}
