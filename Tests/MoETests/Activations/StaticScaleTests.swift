// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import TestSupport
import Testing

/// Static input scales: read of all experts, whatever the rank, and honoured.
@Suite struct StaticScaleTests {
  /// Experts of fp8 with static scales; the greatest of the second product is that of expert 0.
  private func fixture() throws -> CheckpointFixture {
    var fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["Qwen3-MoE"]))
    fixture.configuration["quantization_config"] = ["quant_method": "fp8", "activation_scheme": "static"]
    for (name, tensor) in fixture.tensors where name.contains(".experts.") && name.hasSuffix(".weight") {
      let stem = name.dropLast(".weight".count)
      fixture.add(name, .f8e4m3, tensor.shape, tensor.elementType.decode(tensor.bytes).map { 64 * $0 })
      fixture.add(stem + ".weight_scale", .f32, [], [1.0 / 64])
      fixture.add(stem + ".input_scale", .f32, [], [name.contains("experts.0.") ? 0.05 : 0.02])
    }
    return fixture
  }

  private static let layer = 0
  private static func name(_ expert: Int, _ projection: String) -> String {
    "model.layers.\(layer).mlp.experts.\(expert).\(projection)_proj.input_scale"
  }

  private func routed(_ fixture: CheckpointFixture, _ activations: ActivationPrecision = .declared) throws -> [Float] {
    let layer = try fixture.load(on: ReferenceBackend(activations: activations)).layers[0]
    return try layer.forward(randomValues(9 * layer.hiddenSize, seed: 5)).routed
  }

  @Test func theGreatestCounts() throws {
    var fixture = try fixture()
    let first = try routed(fixture)
    expectClose(first, try routed(fixture, .f32), bound: 0.1)
    // Another one below the greatest changes nothing, of an expert or of one projection.
    fixture.add(Self.name(1, "down"), .f32, [1], [0.04])
    fixture.add(Self.name(0, "gate"), .f32, [], [0.01])
    expectSameBits(try routed(fixture), first)
    // The greatest of either product does.
    for name in [Self.name(1, "down"), Self.name(2, "up")] {
      var changed = fixture
      changed.add(name, .f32, [], [0.3])
      #expect(try routed(changed) != first)
      expectSameBits(try routed(changed, .f32), try routed(fixture, .f32))
    }
  }

  @Test func badScales() throws {
    var fixture = try fixture()
    fixture.add(Self.name(1, "down"), .f32, [], [0])
    fixture.add(Self.name(2, "up"), .f32, [], [.nan])
    expectFaults([.invalidValue, .invalidValue], [Self.name(1, "down"), Self.name(2, "up")]) { _ = try routed(fixture) }
    fixture.remove(Self.name(1, "down"))
    expectFault(.missingTensor, Self.name(1, "down")) { try fixture.open() }
  }

  /// A rank without the expert of the greatest scale computes as one rank does, from files and from memory.
  @Test func everyRankReadsAll() throws {
    let fixture = try fixture()
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path)
    let (source, catalog) = (model.layers[0].experts, model.checkpoint.catalog)
    let backend = ReferenceBackend(activations: .declared)
    let whole = try RoutedExperts(source, of: catalog, on: backend)
    let hidden = randomValues(3 * source.specification.hiddenSize, seed: 6)
    func run(_ storage: ReferenceStorage, _ slot: Int) throws -> [Float] {
      let ids = [Int32](repeating: Int32(slot), count: 3)
      return try backend.forward(storage, hidden: hidden, routing: Routing(topK: 1, ids: ids, weights: [1, 1, 1]))
    }
    let plan = try LoadPlan(source, on: backend, as: ParallelLayout(tensorParallel: 1, expertParallel: 2, rank: 1))
    let count = source.specification.expertCount
    #expect(plan.inputScaleReads.count == 3 * count)
    let inSlots = plan.slots.reduce(0) { $0 + $1.bytesToRead }
    #expect(plan.bytesToRead == inSlots + 3 * count * 4)
    #expect(try LoadPlan(source, on: ReferenceBackend()).inputScaleReads.isEmpty)

    let expected = try run(whole.storage, plan.slots[0].expert.rawValue)
    let storage = try backend.allocate(plan.layout)
    try plan.execute(from: catalog, into: storage, of: backend)
    expectSameBits(try run(storage, 0), expected, "from files")

    let pushed = try backend.allocate(plan.layout)
    let loader = ExpertLoader(plan, into: pushed, of: backend)
    let names = fixture.tensors.keys.filter { $0.contains("layers.0.mlp.experts.") }.sorted()
    func push(_ name: String) throws {
      let tensor = fixture.tensors[name]!
      _ = try unsafe tensor.bytes.withUnsafeBytes { bytes in
        try unsafe loader.push(name, tensor.elementType, tensor.shape, bytes)
      }
    }
    for name in names where name != Self.name(0, "down") { try push(name) }
    expectFaults([.missingTensor], [Self.name(0, "down")]) { try loader.finish() }
    expectFault(.invalidArgument, "static") { _ = try run(pushed, 0) }
    try push(Self.name(0, "down"))
    try loader.finish()
    expectSameBits(try run(pushed, 0), expected, "from memory")
  }
}
