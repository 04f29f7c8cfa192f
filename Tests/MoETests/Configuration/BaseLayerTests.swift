// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// The names that a LoRA wrapper leaves: `….base_layer.weight`, with adapters beside it.
@Suite struct BaseLayerTests {
  private func fixture() throws -> CheckpointFixture {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["DeepSeek-V3"]))
    fixture.configuration["quantization_config"] = ["quant_method": "fp8", "activation_scheme": "dynamic"]
    for (name, tensor) in fixture.tensors where name.contains(".experts.") && name.hasSuffix("down_proj.weight") {
      fixture.add(name, .f8e4m3, tensor.shape, [Float](repeating: 1, count: tensor.shape.elementCount!))
      fixture.add(name + "_scale", .f32, [], [0.5])
    }
    fixture.rename { name in
      guard name.contains(".experts."), let dot = name.lastIndex(of: ".") else { return name }
      return name[..<dot] + ".base_layer" + name[dot...]
    }
    return fixture
  }

  @Test func isReadAsIfNotWrapped() throws {
    let layer = try #require(try fixture().open().layers.first)
    #expect(layer.experts.format == "gate BF16, up BF16, down fp8, per tensor")
    #expect(layer.experts.experts[2][0][.weight]?.tensor.name.hasSuffix("2.gate_proj.base_layer.weight") == true)
  }

  @Test func withAndWithout() throws {
    var fixture = try fixture()
    let name = "model.layers.1.mlp.experts.2.up_proj."
    fixture.add(name + "weight", .bf16, fixture.tensors[name + "base_layer.weight"]!.shape)
    expectFaults([.duplicateParameter], [name]) { try fixture.open() }
  }

  @Test func adaptersAreNotApplied() throws {
    var fixture = try fixture()
    fixture.add("model.layers.1.mlp.experts.2.up_proj.lora_A.default.weight", .bf16, [4, 32])
    expectFaults([.unexpectedTensor], ["lora_A", "merge the adapter"]) { try fixture.open() }
  }
}
