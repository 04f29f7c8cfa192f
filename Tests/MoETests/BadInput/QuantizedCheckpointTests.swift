// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import TestSupport
import Testing

/// Quantised experts: loaded by what their tensors are, refused when one is missing, extra or of another kind.
@Suite struct QuantizedCheckpointTests {
  /// DeepSeek-V3 with experts of fp8 codes that are all 1 and a scale of ½ for each projection.
  private func fixture() throws -> CheckpointFixture {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["DeepSeek-V3"]))
    fixture.configuration["quantization_config"] = ["quant_method": "fp8", "activation_scheme": "dynamic"]
    for (name, tensor) in fixture.tensors where name.contains(".experts.") && name.hasSuffix(".weight") {
      let ones = [Float](repeating: 1, count: tensor.shape.elementCount!)
      fixture.add(name, .f8e4m3, tensor.shape, ones)
      fixture.add(name + "_scale", .f32, [], [0.5])
    }
    return fixture
  }

  private static let expert = "model.layers.1.mlp.experts.2.up_proj"

  @Test func decodesWhileLoading() throws {
    let model = try fixture().open()
    let layer = try #require(model.layers.first)
    #expect(layer.experts.format == "fp8, per tensor")
    let form = CodedForm(bits: 8, group: nil, scale: .f32, code: .e4m3)
    #expect(layer.specification.codes == [.gate: form, .up: form, .down: form])
    let plan = try LoadPlan(layer.experts, on: CPUBackend())
    #expect(plan.layout.codes == layer.specification.codes && plan.notes.isEmpty)
    let specification = layer.specification
    let weights = specification.expertCount * specification.parametersPerExpert
    #expect(layer.experts.storedBytes == weights + specification.expertCount * 3 * 4)

    // Every weight is ½, so every gate and up is half the sum of the input.
    let hidden = [Float](repeating: 1, count: layer.hiddenSize)
    let experts = try RoutedExperts(layer.experts, of: model.checkpoint.catalog, on: ReferenceBackend())
    let routed = try experts.forward(hidden, routing: Routing(topK: 1, ids: [3], weights: [1])).routed
    let sum = Double(layer.hiddenSize) / 2
    let expected = Double(specification.intermediateSize) / 2 * specification.activation(gate: sum, up: sum)
    #expect(routed.allSatisfy { abs(Double($0) - expected) <= 1e-6 * expected })
  }

  @Test func missingScale() throws {
    var fixture = try fixture()
    fixture.remove(Self.expert + ".weight_scale")
    expectFaults([.missingTensor], [Self.expert + ".weight_scale", "fp8"]) { try fixture.open() }
  }

  @Test func scaleOfAnotherShape() throws {
    var fixture = try fixture()
    fixture.add(Self.expert + ".weight_scale", .f32, [3])
    expectFaults([.shapeMismatch], [Self.expert + ".weight_scale", "[3]"]) { try fixture.open() }
  }

  /// A scale that means nothing never gets into a backend, whatever the rank.
  @Test(arguments: [Float.nan, -0.5, 0]) func scaleWithoutMeaning(scale: Float) throws {
    var fixture = try fixture()
    fixture.add(Self.expert + ".weight_scale", .f32, [], [scale])
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path)
    let layer = try #require(model.layers.first)
    for rank in [0, 1] {
      let backend = ReferenceBackend()
      let plan = try LoadPlan(
        layer.experts, on: backend, as: ParallelLayout(tensorParallel: 2, expertParallel: 1, rank: rank))
      let storage = try backend.allocate(plan.layout)
      expectFaults([.invalidValue], [Self.expert + ".weight_scale", "expert 2", "model.safetensors", "\(scale)"]) {
        try plan.execute(from: model.checkpoint.catalog, into: storage, of: backend)
      }
    }
  }

  @Test func weightOfAnotherType() throws {
    var fixture = try fixture()
    fixture.reshape(Self.expert + ".weight", .i8)
    expectFaults([.typeMismatch], [Self.expert + ".weight", "I8"]) { try fixture.open() }
  }

  @Test func tensorThatNothingUses() throws {
    var fixture = try fixture()
    fixture.add(Self.expert + ".qzeros", .i32, [4])
    expectFaults([.unexpectedTensor], [Self.expert + ".qzeros"]) { try fixture.open() }
  }

  @Test func unknownMethod() throws {
    var fixture = try fixture()
    fixture.configuration["quantization_config"] = ["quant_method": "mystery"]
    let error = try #require(throws: MoEError.self) { try fixture.open() }
    #expect(error.faults.allSatisfy { $0.code == .unsupported })
    #expect(error.description.contains("mystery"))
  }

  /// Formats may differ by projection: each is loaded as it is.
  @Test func projectionsOfDifferentTypes() throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["gpt-oss"]))
    fixture.reshape("model.layers.0.mlp.experts.down_proj", .f32)
    let layer = try #require(try fixture.open().layers.first)
    #expect(layer.experts.format == "gate BF16, up BF16, down F32")
    #expect(layer.specification.elementType == .f32)
  }

  /// The tensors decide: a model whose experts were left out of the quantisation is plain.
  @Test func plainExpertsOfAQuantisedModel() throws {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["DeepSeek-V3"]))
    fixture.configuration["quantization_config"] = ["quant_method": "fp8", "modules_to_not_convert": ["experts"]]
    #expect(try fixture.open().layers.allSatisfy { $0.experts.format == "BF16" })
    fixture.reshape("model.layers.1.mlp.shared_experts.up_proj.weight", .f8e4m3)
    expectFaults([.missingTensor], ["shared_experts.up_proj.weight_scale"]) { try fixture.open() }
  }
}
