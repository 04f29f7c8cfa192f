// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// Made-up loads: their statistics, and that a seed gives the same again.
@Suite struct SimulatedRouterTests {
  private func loads(_ routing: Routing, experts: Int) -> [Int] {
    routing.ids.reduce(into: Array(repeating: 0, count: experts)) { $0[Int($1)] += 1 }
  }

  @Test(arguments: [SimulatedRouter.Distribution.uniform, .zipf(exponent: 1), .normal])
  func aSeedGivesTheSame(distribution: SimulatedRouter.Distribution) throws {
    func route(_ seed: UInt64) throws -> Routing {
      try SimulatedRouter(expertCount: 16, topK: 4, distribution: distribution, seed: seed).route(tokenCount: 50)
    }
    #expect(try route(1) == route(1))
    #expect(try route(1) != route(2))
    let routing = try route(3)
    try routing.validate(idCount: 16)
    for token in 0..<50 {
      let slots = routing.slots(of: token)
      #expect(abs(routing.weights[slots].reduce(0, +) - 1) < 1e-5)
      if distribution != .normal { #expect(Set(routing.ids[slots]).count == 4) }
    }
  }

  @Test func uniformLoads() throws {
    let routing = try SimulatedRouter(expertCount: 10, topK: 2, distribution: .uniform, seed: 4).route(tokenCount: 5000)
    for load in loads(routing, experts: 10) { #expect((900...1100).contains(load)) }
    #expect(routing.weights.allSatisfy { $0 == 0.5 })
  }

  /// With one slot the r-th most popular of four experts has the share 1/r of 25/12.
  @Test func zipfLoads() throws {
    let routing = try SimulatedRouter(expertCount: 4, topK: 1, distribution: .zipf(exponent: 1), seed: 9)
      .route(tokenCount: 8000)
    let shares = loads(routing, experts: 4).sorted(by: >).map { Double($0) / 8000 }
    for (rank, share) in shares.enumerated() { #expect(abs(share - 12 / 25 / Double(rank + 1)) < 0.02) }
    let steep = try SimulatedRouter(expertCount: 16, topK: 2, distribution: .zipf(exponent: 2), seed: 9)
      .route(tokenCount: 1000)
    let flat = try SimulatedRouter(expertCount: 16, topK: 2, distribution: .zipf(exponent: 0.5), seed: 9)
      .route(tokenCount: 1000)
    #expect(loads(steep, experts: 16).max()! > 2 * loads(flat, experts: 16).max()!)
  }

  /// sigmoid(N(0, 1)) lies between ¼ and ¾ with the probability of |N| < ln 3: 0.728.
  @Test func normalLoads() throws {
    let routing = try SimulatedRouter(expertCount: 8, topK: 4, distribution: .normal, seed: 5).route(tokenCount: 3000)
    let loads = loads(routing, experts: 8)
    #expect(abs(Double(loads[2...5].reduce(0, +)) / 12000 - 0.728) < 0.02)
    #expect(loads.allSatisfy { $0 > 0 })
    #expect((0..<3000).contains { Set(routing.ids[routing.slots(of: $0)]).count < 4 }, "experts may repeat")
  }

  @Test func paddingIsSkipped() throws {
    let router = try SimulatedRouter(expertCount: 4, topK: 2, distribution: .uniform, seed: 1)
    let routing = try router.route(RouterInput(logits: [], tokenCount: 2, isPadding: [true, false]))
    #expect(routing.ids[0] == -1 && routing.weights[1] == 0 && routing.ids[2] >= 0)
  }

  @Test func refusals() throws {
    expectFaults([.configuration]) {
      _ = try SimulatedRouter(expertCount: 4, topK: 5, distribution: .uniform, seed: 1)
    }
    expectFaults([.configuration]) {
      _ = try SimulatedRouter(expertCount: 4, topK: 1, distribution: .zipf(exponent: .nan), seed: 1)
    }
    let router = try SimulatedRouter(expertCount: 4, topK: 2, distribution: .uniform, seed: 1)
    expectFaults([.invalidArgument]) { _ = try router.route(RouterInput(logits: [], tokenCount: -1)) }
    expectFaults([.invalidArgument]) {
      _ = try router.route(RouterInput(logits: [], tokenCount: 2, isPadding: [true]))
    }
  }
}
