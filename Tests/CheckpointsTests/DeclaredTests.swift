// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import Testing

/// Models of tensors that are in no file.
@Suite struct DeclaredTests {
  private let tensors = [TensorDeclaration("b", .bf16, [2, 3]), TensorDeclaration("a", .f32, [4])]

  @Test func safetensors() throws {
    let checkpoint = try Checkpoint(declaring: tensors, configuration: ["model_type": "mixtral"])
    #expect(checkpoint.catalog.records.map(\.name) == ["a", "b"])
    #expect(checkpoint.catalog["b"]?.byteCount == 12)
    #expect(checkpoint.configuration["model_type"] == "mixtral")
    #expect(try checkpoint.companion("hf_quant_config.json") == nil)
    let record = try #require(checkpoint.catalog["a"])
    #expect(checkpoint.catalog.path(of: record) == "memory")
    expectFaults([.unreadable], "was declared", "push it from memory") { _ = try checkpoint.catalog.bytes(of: record) }
  }

  @Test func gguf() throws {
    let checkpoint = try Checkpoint(
      declaring: [GGUFDeclaration("blk.0.ffn_up_exps.weight", .q4_K, [2, 4, 256])],
      metadata: ["general.architecture": .string("llama"), "llama.expert_count": .uint32(2)])
    #expect(checkpoint.configuration["num_experts"] == 2)
    let record = try #require(checkpoint.catalog["blk.0.ffn_up_exps.weight"])
    #expect(record.ggmlType == .q4_K && record.logicalShape == [2, 4, 256])
    expectFaults([.unreadable], "was declared") { _ = try checkpoint.catalog.floats(of: record) }
  }

  @Test func refusals() throws {
    expectFaults([.duplicateTensor], "declared twice") {
      _ = try TensorCatalog(declaring: tensors + tensors.prefix(1))
    }
    expectFaults([.shapeOverflow, .invalidName]) {
      _ = try TensorCatalog(
        declaring: [TensorDeclaration("a", .f32, [1 << 62, 4]), TensorDeclaration("__metadata__", .u8, [1])])
    }
    expectFaults([.malformedJSON], "an object") { _ = try Checkpoint(declaring: tensors, configuration: [1]) }
    expectFaults([.metadata], "general.architecture") {
      _ = try Checkpoint(declaring: [GGUFDeclaration](), metadata: [:])
    }
    expectFaults([.sizeMismatch], "whole number of blocks") {
      _ = try TensorCatalog(declaring: [GGUFDeclaration("a", .q8_0, [33])], metadata: [:])
    }
  }
}
