// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

@testable import MoEDistributed

/// Where rows go, and where they come back.
@Suite struct DispatchPlanTests {
  @Test(arguments: [0, 1, 5, 40], [1, 2, 3]) func everySlotHasOneRow(tokens: Int, ranks: Int) throws {
    let placement = try ExpertPlacement.initial(expertCount: 9, redundant: 3, ranks: ranks)
    let map = ExpertMap(placement, rank: 0)
    var routing = try randomRouting(tokens: tokens, topK: 4, experts: 9, seed: 7)
    for slot in routing.ids.indices where slot % 5 == 0 { routing.ids[slot] = -1 }
    let physical = placement.physicalIDs(of: routing)
    let plan = DispatchPlan(physical, routing, map)
    #expect(plan.rowCount == routing.ids.count { $0 >= 0 })
    // What each owner computes, in its order.
    var rows: [(token: Int, slot: Int, expert: Int, weight: Float)] = []
    for owner in 0..<ranks {
      // Each token once, however many of its experts are there.
      #expect(plan.tokens[owner] == Set(plan.tokens[owner]).sorted())
      let own = Array(placement.experts(of: owner))
      var count = 0
      for (place, local) in plan.ids[owner].enumerated() where local >= 0 {
        rows.append(
          (plan.tokens[owner][place / 4], place % 4, own[Int(local)].rawValue, plan.weights[owner][place]))
        count += 1
      }
      #expect(count == plan.rowCounts[owner])
    }
    for slot in routing.ids.indices where routing.ids[slot] >= 0 {
      let row = rows[Int(plan.indices[slot])]
      #expect(row.token == slot / 4 && row.slot == slot % 4 && row.weight == routing.weights[slot])
      #expect(row.expert == Int(routing.ids[slot]))
    }
  }

  /// A part of the tokens is planned as if they were alone, but for the replicas, which go by their place in the batch.
  @Test func someTokens() throws {
    let placement = try ExpertPlacement.initial(expertCount: 6, ranks: 2)
    let map = ExpertMap(placement, rank: 1)
    let routing = try randomRouting(tokens: 10, topK: 2, experts: 6, seed: 3)
    let physical = placement.physicalIDs(of: routing)
    let part = DispatchPlan(physical, routing, map, tokens: 4..<7)
    let alone = try Routing(topK: 2, ids: Array(routing.ids[8..<14]), weights: Array(routing.weights[8..<14]))
    let whole = DispatchPlan(placement.physicalIDs(of: alone), alone, map)
    #expect(part.indices == whole.indices && part.rowCounts == whole.rowCounts && part.ids == whole.ids)
    #expect(part.tokens.map { $0.map { $0 - 4 } } == whole.tokens)
  }

  @Test func compactRows() { #expect(DispatchPlan.compactIndices([-1, 3, 0, -1, 5]) == [0, 0, 1, 0, 2]) }
}
