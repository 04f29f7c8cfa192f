// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// A layer that was lost whole is missed: what the configuration declares is held against the tensors.
@Suite struct LostLayerTests {
  /// Ways to declare that of four layers 1 and 3 are MoE, or all but 0.
  static let rules: [(declaration: [String: JSONValue], layers: [Int])] = [
    (["mlp_layer_types": ["dense", "sparse", "dense", "sparse"]], [1, 3]),
    (["decoder_sparse_step": 2, "mlp_only_layers": []], [1, 3]),
    (["decoder_sparse_step": 1, "mlp_only_layers": [0, 2]], [1, 3]),
    (["expert_layer_period": 2, "expert_layer_offset": 1], [1, 3]),
    (["interleave_moe_layer_step": 2], [1, 3]),
    (["moe_layers": [1, 3], "interleave_moe_layer_step": 1], [1, 3]),
    (["moe_layers_enum": "1,3"], [1, 3]),
    (["hybrid_override_pattern": "ME*E"], [1, 3]),
    (["layers_block_type": ["mamba", "moe", "attention", "moe"]], [1, 3]),
    (["moe_layer_freq": [0, 1, 0, 1]], [1, 3]),
    (["moe_layer_frequency": 2], [1, 3]),
    (["num_dense_layers": 1], [1, 2, 3]),
    (["first_k_dense_replace": 1, "moe_layer_freq": 2], [2]),
    (["moe_layer_start_index": 1, "moe_layer_end_index": 2, "moe_layer_interval": 1], [1, 2]),
  ]

  /// A model of four MoE layers of which only some are left, and the declaration.
  private func fixture(
    _ declaration: [String: JSONValue], keeping layers: [Int], family: String = "Mixtral"
  ) throws -> CheckpointFixture {
    var configuration = try #require(TinyConfigurations.all[family])
    configuration["num_hidden_layers"] = 4
    var fixture = try CheckpointFixture(synthetic: configuration)
    fixture.configuration.merge(declaration) { _, new in new }
    fixture.tensors = fixture.tensors.filter { name, _ in layers.contains { name.hasPrefix("model.layers.\($0).") } }
    return fixture
  }

  @Test(arguments: rules.indices) func declaredLayersMustBeThere(index: Int) throws {
    let (declaration, layers) = Self.rules[index]
    #expect(try fixture(declaration, keeping: layers).open().layers.map(\.index) == layers)

    let lost = try #require(layers.last)
    guard layers.count > 1 else { return }
    let spoiled = try fixture(declaration, keeping: layers.dropLast())
    let error = try #require(throws: MoEError.self) { try spoiled.open() }
    #expect(error.faults.map(\.code) == [.missingTensor])
    #expect(error.description.contains("layer(s) \(lost)"), "\(error)")
  }

  @Test func nothingDeclaredIsNothingMissed() throws {
    let fixture = try fixture([:], keeping: [0, 2], family: "Mellum")
    #expect(try fixture.open().layers.map(\.index) == [0, 2])
  }

  /// All layers of Mixtral have experts, and no configuration says so.
  @Test func familiesWithExpertsEverywhere() throws {
    expectFaults([.missingTensor], ["layer(s) 1, 3"]) { try fixture([:], keeping: [0, 2]).open() }
  }

  /// Of layers that are asked for, none is passed over.
  @Test func layersThatAreNotThere() throws {
    let folder = try TemporaryFolder()
    try fixture(["num_dense_layers": 1], keeping: [1, 2, 3]).write(to: folder.path)
    #expect(try MoEModel(opening: folder.path, layers: [2]).layers.map(\.index) == [2])
    expectFaults([.invalidArgument], ["layer 0, 9 is no MoE layer", "1, 2, 3"]) {
      _ = try MoEModel(opening: folder.path, layers: [0, 2, 9])
    }
  }
}
