// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Synchronization
import Testing

/// Capture, replay and closures.
@Suite struct CaptureTests {
  static func topK() throws -> TopKRouter {
    try TopKRouter(expertCount: 8, topK: 2, recipe: TopKRecipe(scoring: .softmax))
  }

  @Test func whatIsCapturedCanBeReplayed() throws {
    let captured = CapturedRoutings()
    let router = CapturingRouter(try Self.topK()) { captured.append($0) }
    #expect(router.expertCount == 8 && router.topK == 2 && !router.needsTokenIDs)
    let input = RouterInput(logits: randomValues(5 * 8, seed: 1), tokenCount: 5)
    let routing = try router.route(input)
    #expect(captured.all == [routing])
    let replay = try ReplayRouter(captured.all[0], expertCount: 8)
    let other = RouterInput(logits: randomValues(5 * 8, seed: 2), tokenCount: 5)
    #expect(try replay.route(other) == routing)
    #expect(try Self.topK().route(other) != routing)
  }

  @Test func hashRoutersAreCapturedToo() throws {
    let router = CapturingRouter(try HashRouter(expertCount: 2, topK: 1, table: [1])) { _ in }
    #expect(router.needsTokenIDs)
  }

  @Test func replayRefusals() throws {
    let routing = try Routing(topK: 2, ids: [0, 1, 2, -1], weights: [1, 1, 1, 0])
    let replay = try ReplayRouter(routing, expertCount: 3)
    expectFaults([.invalidArgument], ["expected 2", "found 3"]) {
      _ = try replay.route(RouterInput(logits: [], tokenCount: 3))
    }
    expectFaults([.invalidArgument]) { _ = try ReplayRouter(routing, expertCount: 2) }
  }

  @Test func closures() throws {
    let router = CustomRouter(expertCount: 4, topK: 1) { (input) throws(MoEError) in
      try Routing(
        topK: 1, ids: (0..<input.tokenCount).map { Int32($0 % 4) },
        weights: Array(repeating: 1, count: input.tokenCount))
    }
    #expect(
      try router.route(RouterInput(logits: Array(repeating: 0, count: 20), tokenCount: 5)).ids == [0, 1, 2, 3, 0])
    expectFaults([.invalidArgument]) { _ = try router.route(RouterInput(logits: [0], tokenCount: 5)) }
  }

  /// What a closure returns is not taken on trust.
  @Test(
    arguments: [
      ([4], [1], 1), ([-2], [1], 1), ([0], [.nan], 1), ([0, 1], [1, 1], 1), ([0, 1], [1, 1], 2),
    ] as [([Int32], [Float], Int)])
  func badClosures(ids: [Int32], weights: [Float], topK: Int) throws {
    let router = CustomRouter(expertCount: 4, topK: 1) { (_) throws(MoEError) in
      try Routing(topK: topK, ids: ids, weights: weights)
    }
    expectFaults([.invalidArgument]) { _ = try router.route(RouterInput(logits: [0, 0, 0, 0], tokenCount: 1)) }
  }
}

/// A list that several threads may append to.
final class CapturedRoutings: Sendable {
  private let routings = Mutex<[Routing]>([])

  var all: [Routing] { routings.withLock { $0 } }

  func append(_ routing: Routing) { routings.withLock { $0.append(routing) } }
}
