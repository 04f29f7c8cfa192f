// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import TestSupport
import Testing

/// The settings that a GGUF file has in its metadata, under the names of a `config.json`.
@Suite struct GGUFConfigurationTests {
  private func open(_ fields: [(String, [UInt8])]) throws -> Checkpoint {
    let folder = try TemporaryFolder()
    try folder.write(GGUFImage(fields).bytes, "m.gguf")
    // Neither of them belongs to the model.
    try folder.write("no JSON", "config.json")
    try folder.write("no JSON", "hf_quant_config.json")
    let checkpoint = try Checkpoint(opening: folder.path)
    #expect(checkpoint.configurationPath == folder["m.gguf"])
    #expect(try checkpoint.companion("hf_quant_config.json") == nil)
    return checkpoint
  }

  @Test func keys() throws {
    let checkpoint = try open([
      ("general.architecture", Field.string("deepseek2")), ("deepseek2.expert_count", Field.u32(256)),
      ("deepseek2.expert_used_count", Field.u32(8)), ("deepseek2.expert_gating_func", Field.u32(2)),
      ("deepseek2.expert_weights_scale", Field.f32(2.5)), ("deepseek2.expert_weights_norm", Field.bool(1)),
      ("deepseek2.block_count", Field.u32(62)), ("deepseek2.nextn_predict_layers", Field.u32(1)),
      ("other.expert_group_count", Field.u32(8)), ("deepseek2.experts_per_group", Field.u32(2)),
    ])
    #expect(
      checkpoint.configuration == [
        "model_type": "deepseek2", "num_experts": 256, "num_experts_per_tok": 8, "scoring_func": "sigmoid",
        "routed_scaling_factor": 2.5, "norm_topk_prob": true, "num_hidden_layers": 61,
      ])
    #expect(checkpoint.configurationKeys["num_experts"] == "deepseek2.expert_count")
    #expect(checkpoint.warnings.count == 1 && checkpoint.warnings[0].contains("deepseek2.experts_per_group is not"))
  }

  @Test(
    arguments: [
      (0, .null), (1, "softmax"), (2, "sigmoid"), (3, "selectedSoftmax"), (4, "sqrtsoftplus"), (9, 9),
    ] as [(UInt32, JSONValue)])
  func gating(number: UInt32, scoring: JSONValue) throws {
    let checkpoint = try open([
      ("general.architecture", Field.string("a")), ("a.expert_gating_func", Field.u32(number)),
      ("a.expert_weights_scale", Field.f32(0)),
    ])
    #expect(checkpoint.configuration.object?["scoring_func", default: .null] == scoring)
    // As ggml reads it, 0 is no scale.
    #expect(checkpoint.configuration.object?.keys.contains("routed_scaling_factor") == false)
  }

  @Test(arguments: [[], [("general.architecture", Field.u32(1))], [("general.architecture", Field.string(""))]])
  func noArchitecture(fields: [(String, [UInt8])]) throws {
    expectFaults([.metadata], "general.architecture", "convert it again") { _ = try open(fields) }
  }

  /// What is wrong with the file comes without a complaint about a `config.json` that it doesn't need.
  @Test func faultsOfTheFile() throws {
    let folder = try TemporaryFolder()
    try folder.write("GGUF", "m.gguf")
    expectFaults([.malformedHeader]) { _ = try Checkpoint(opening: folder.path) }
    expectFaults([.malformedHeader]) { _ = try Checkpoint(opening: folder["m.gguf"]) }
    try folder.write("GGUF", "n.gguf")
    expectFaults([.ambiguous]) { _ = try Checkpoint(opening: folder.path) }
  }
}
