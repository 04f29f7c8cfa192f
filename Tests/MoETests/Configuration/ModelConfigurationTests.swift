// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Testing

/// One quantity, many spellings.
@Suite struct ModelConfigurationTests {
  private func read(_ values: [String: JSONValue]) -> ModelConfiguration {
    ModelConfiguration(.object(values), file: "config.json")
  }

  static let quantities: [ModelConfiguration.Quantity] = [
    .expertCount, .topK, .hiddenSize, .intermediateSize, .layerCount,
  ]

  /// The spellings of the facts about checkpoints, A.0.
  @Test(arguments: [
    (0, ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"]),
    (
      1,
      [
        "num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k", "top_k_experts",
        "experts_per_token",
      ]
    ),
    (2, ["hidden_size", "d_model"]),
    (3, ["moe_intermediate_size", "intermediate_size", "expert_ffn_hidden_size", "expert_hidden_dim"]),
    (4, ["num_hidden_layers", "n_layers", "num_layers"]),
  ])
  func spellings(quantity: Int, keys: [String]) throws {
    for key in keys {
      #expect(try read([key: 7]).required(Self.quantities[quantity]) == 7)
      #expect(try read(["text_config": [key: 7], "hidden_size": 3]).required(Self.quantities[quantity]) == 7)
    }
  }

  @Test func nestedKeys() throws {
    let configuration = read(["ffn_config": ["moe_num_experts": 16, "moe_top_k": 4, "ffn_hidden_size": 9]])
    #expect(try configuration.required(.expertCount) == 16)
    #expect(try configuration.required(.topK) == 4)
    #expect(try configuration.required(.intermediateSize) == 9)
  }

  /// An expert's own width comes before that of a dense layer.
  @Test func theWidthOfExpertsComesFirst() throws {
    #expect(try read(["intermediate_size": 48, "moe_intermediate_size": 12]).required(.intermediateSize) == 12)
    #expect(try read(["intermediate_size": 48, "moe_intermediate_size": nil]).required(.intermediateSize) == 48)
  }

  @Test(arguments: [8, 8.0, [8, 4]] as [JSONValue]) func integers(value: JSONValue) throws {
    #expect(try read(["num_experts": value]).required(.expertCount, layer: 0) == 8)
  }

  @Test(
    arguments: ["8", 7.5, true, [4, 8], ["a": 1], 1e300, 0, -8, 1_099_511_627_776, .number(.nan), .number(.infinity)]
      as [JSONValue])
  func noIntegers(value: JSONValue) {
    expectFaults([.configuration], ["config.json", "num_experts"]) {
      _ = try read(["num_experts": value]).required(.expertCount)
    }
  }

  @Test(arguments: [[:], ["num_experts": nil], ["text_config": [:]]] as [[String: JSONValue]])
  func absent(values: [String: JSONValue]) {
    expectFaults([.configuration], ["the number of experts", "n_routed_experts"]) {
      _ = try read(values).required(.expertCount)
    }
  }

  @Test func spellingsThatDisagree() throws {
    expectFaults([.configuration], ["num_experts and n_routed_experts", "8 and 16"]) {
      _ = try read(["num_experts": 8, "n_routed_experts": 16]).required(.expertCount)
    }
    expectFaults([.configuration], ["num_experts_per_tok and moe_topk"]) {
      _ = try read(["num_experts_per_tok": 2, "moe_topk": [2, 4]]).required(.topK, layer: 1)
    }
    #expect(try read(["num_experts": 8, "n_routed_experts": 8.0, "moe_num_experts": nil]).required(.expertCount) == 8)
    #expect(try read(["num_experts_per_tok": 2, "moe_topk": [2, 4]]).required(.topK, layer: 0) == 2)
    // The text model's own number hides what its wrapper says.
    #expect(try read(["num_experts": 8, "text_config": ["num_experts": 4]]).required(.expertCount) == 4)
  }

  @Test func numbers() throws {
    #expect(try read(["x": 2]).number("x") == 2)
    #expect(try read(["x": 2.5]).number("y", "x") == 2.5)
    #expect(try read(["x": [1, nil]]).number("x", layer: 0) == 1)
    #expect(try read(["x": [1, nil]]).number("x", layer: 1) == nil)
    #expect(try read([:]).number("x") == nil)
    for value in ["1", true, .number(.nan), .number(.infinity), 1e300] as [JSONValue] {
      expectFaults([.configuration], ["x", "finite"]) { _ = try read(["x": value]).number("x") }
    }
  }

  @Test func others() throws {
    let configuration = read(["a": true, "b": "text", "c": ["x", "y"], "d": [1]])
    #expect(try configuration.boolean("a") == true)
    #expect(try configuration.string("b") == "text")
    #expect(try configuration.strings("c") == ["x", "y"])
    expectFaults([.configuration], ["a"]) { _ = try configuration.string("a") }
    expectFaults([.configuration], ["b"]) { _ = try configuration.boolean("b") }
    expectFaults([.configuration], ["d"]) { _ = try configuration.strings("d") }
  }
}
