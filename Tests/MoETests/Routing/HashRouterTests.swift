// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import Testing

/// Routing by token id: experts from the table, weights from the gate.
@Suite struct HashRouterTests {
  static let table: [Int32] = [0, 1, 2, 3, 3, 0]  // Three tokens, two experts each.

  @Test(arguments: Scoring.allCases) func weightsAreScores(scoring: Scoring) throws {
    let logits = randomValues(3 * 4, seed: 1)
    let router = try HashRouter(
      expertCount: 4, topK: 2, table: Self.table, scoring: scoring, normalization: .sum(epsilon: 1e-20), scale: 1.5)
    #expect(router.needsTokenIDs && router.vocabularySize == 3)
    let routing = try router.route(RouterInput(logits: logits, tokenCount: 3, tokenIDs: [2, 0, 2]))
    #expect(routing.ids == [3, 0, 0, 1, 3, 0])
    for token in 0..<3 {
      let row = logits[4 * token..<4 * token + 4].map(Double.init)
      let total = row.reduce(0) { $0 + exp($1) }
      let scores = row.map { x in
        switch scoring {
        case .softmax: exp(x) / total
        case .sigmoid: 1 / (1 + exp(-x))
        case .sqrtSoftplus: log1p(exp(x)).squareRoot()
        case .selectedSoftmax: exp(x)
        }
      }
      let chosen = routing.slots(of: token).map { scores[Int(routing.ids[$0])] }
      let expected = chosen.map { Float(1.5 * $0 / chosen.reduce(0, +)) }
      expectClose(Array(routing.weights[routing.slots(of: token)]), expected, bound: 1e-5)
    }
  }

  /// Image tokens choose the best of score + bias; the lowest of their ids opens a window of five.
  @Test func vision() throws {
    let vision = HashRouter.Vision(bias: [0, 0, 9, 8], imageSentinel: 1)
    let router = try HashRouter(expertCount: 4, topK: 2, table: Self.table, scoring: .sigmoid, vision: vision)
    let logits = [Float](repeating: 0, count: 4 * 4)
    let routing = try router.route(RouterInput(logits: logits, tokenCount: 4, tokenIDs: [0, 1, 5, 2]))
    #expect(routing.ids == [0, 1, 2, 3, 2, 3, 2, 3])
    expectFault(.invalidArgument, "6") {
      _ = try router.route(RouterInput(logits: [0, 0, 0, 0], tokenCount: 1, tokenIDs: [6]))
    }
    // A sentinel of 0 turns it off, and the greatest one does not overflow.
    for sentinel in [0, Int32.max] {
      let vision = HashRouter.Vision(bias: [0, 0, 9, 8], imageSentinel: sentinel)
      let router = try HashRouter(expertCount: 4, topK: 2, table: Self.table, vision: vision)
      #expect(try router.route(RouterInput(logits: [0, 0, 0, 0], tokenCount: 1, tokenIDs: [1])).ids == [2, 3])
    }
    expectFaults([.configuration], ["image"]) {
      let vision = HashRouter.Vision(bias: [0, 0, .nan, 8], imageSentinel: 1)
      _ = try HashRouter(expertCount: 4, topK: 2, table: Self.table, vision: vision)
    }
  }

  @Test(arguments: [Int32(-1), 3, .max, .min]) func badTokenIDs(id: Int32) throws {
    let router = try HashRouter(expertCount: 4, topK: 2, table: Self.table)
    let logits = [Float](repeating: 0, count: 8)
    expectFaults([.invalidArgument], ["token 1", "\(id)", "0..<3"]) {
      _ = try router.route(RouterInput(logits: logits, tokenCount: 2, tokenIDs: [0, id]))
    }
    // What a padding row holds does not matter.
    let routing = try router.route(
      RouterInput(logits: logits, tokenCount: 2, tokenIDs: [0, id], isPadding: [false, true]))
    #expect(routing.ids == [0, 1, -1, -1])
  }

  @Test func missingTokenIDs() throws {
    let router = try HashRouter(expertCount: 4, topK: 2, table: Self.table)
    expectFaults([.invalidArgument], ["token ids"]) {
      _ = try router.route(RouterInput(logits: [0, 0, 0, 0], tokenCount: 1))
    }
    expectFaults([.invalidArgument], ["token ids"]) {
      _ = try router.route(RouterInput(logits: [0, 0, 0, 0], tokenCount: 1, tokenIDs: [0, 1]))
    }
  }

  @Test(arguments: [[], [0, 1, 2], [0, 4], [0, -1]] as [[Int32]]) func badTables(table: [Int32]) {
    expectFaults([.configuration], ["table"]) { _ = try HashRouter(expertCount: 4, topK: 2, table: table) }
  }
}
