// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// The entries of vLLM's mapping for small layers.
@Suite struct ExpertParameterMappingTests {
  @Test func replicasHaveEntriesOfTheirOwn() throws {
    let placement = try ExpertPlacement.initial(expertCount: 2, redundant: 1)
    let found = ExpertParameterMapping.entries(gate: "gate_proj", up: "up_proj", down: "down_proj", placement)
    let expected = [(0, 0), (1, 1), (2, 0)].flatMap { slot, expert in
      [(Projection.gate, "gate_proj", "w13_"), (.down, "down_proj", "w2_"), (.up, "up_proj", "w13_")].map {
        ExpertParameterMapping(
          parameter: "experts." + $0.2, checkpointName: "experts.\(expert).\($0.1).",
          physicalExpert: PhysicalExpert(rawValue: slot), projection: $0.0)
      }
    }
    #expect(found == expected)
  }

  @Test func prefixes() throws {
    let placement = try ExpertPlacement.initial(expertCount: 1)
    let prefixes = ExpertParameterMapping.Prefixes(
      routed: "routed_experts.", parameterBase: "base_layer.", checkpointBase: "base_layer.")
    let found = ExpertParameterMapping.entries(gate: "w1", up: "w3", down: "w2", placement, prefixes: prefixes)
    #expect(found[0].parameter == "experts.base_layer.routed_experts.w13_")
    #expect(found[1].checkpointName == "experts.0.w2.base_layer.")
  }

  @Test func withoutAGate() throws {
    let placement = try ExpertPlacement.initial(expertCount: 1)
    let found = ExpertParameterMapping.entries(gate: "up_proj", up: nil, down: "down_proj", placement)
    #expect(found.map(\.projection) == [.up, .down])
  }

  @Test func fused() {
    let found = ExpertParameterMapping.fusedEntries(gateUp: "gate_up_proj", down: "down_proj")
    #expect(found.map(\.parameter) == ["experts.w13_weight", "experts.w13_weight", "experts.w2_weight"])
    #expect(found.map(\.checkpointName) == ["experts.gate_up_proj", "experts.gate_up_proj", "experts.down_proj"])
    #expect(found.map(\.physicalExpert.rawValue) == [0, 1, 0])
  }
}
