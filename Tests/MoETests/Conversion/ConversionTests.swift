// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Checkpoints written again in other formats hold the values that the format's encoder gives, and everything else.
@Suite struct ConversionTests {
  static let types = [
    "f32", "bf16", "fp8-tensor", "fp8-channel", "fp8-block", "int8-channel", "int4-g32", "int4-g32-asym", "mxfp4",
    "mxfp8", "nvfp4", "nf4",
  ]

  /// Mixtral, of sizes that every group divides.
  static let configuration: [String: JSONValue] = {
    var configuration = TinyConfigurations.all["Mixtral"]!
    configuration["hidden_size"] = 64
    configuration["intermediate_size"] = 128
    return configuration
  }()

  private func experts(_ model: MoEModel) throws -> [[ExpertTensor]] {
    let plan = try LoadPlan(model.layers[0].experts, on: ReferenceBackend())
    return try plan.slots.map { try plan.values(of: $0, from: model.checkpoint.catalog) }
  }

  @Test(arguments: StoredLayout.allCases, types) func everyLayout(stored: StoredLayout, name: String) throws {
    let test = ExpertsCase(experts: 3, hidden: 64, intermediate: 32, hasBias: true)
    let (fixture, registry) = stored.checkpoint(RandomExperts(test.specification, seed: 8))
    let folder = try TemporaryFolder()
    try fixture.write(to: folder.path)
    let model = try MoEModel(opening: folder.path, registry: registry)
    let type = try WeightType(parsing: name)
    let output = try TemporaryFolder()
    guard stored != .merged || type.elementType != nil else {
      expectFaults([.unsupported], ["merged"]) {
        _ = try CheckpointConversion(of: model, to: type, registry: registry)
      }
      return
    }
    // Gate and up together are square here.
    let isTurned = [.fusedInputMajor, .interleavedInputMajor].contains(stored)
    guard !isTurned || !["fp8-block", "mxfp8"].contains(name) else {
      expectFaults([.unsupported], ["[out, in] and as [in, out]"]) {
        _ = try CheckpointConversion(of: model, to: type, registry: registry)
      }
      return
    }
    try CheckpointConversion(of: model, to: type, registry: registry).write(to: output.path, shardBytes: 5_000)
    let result = try MoEModel(opening: output.path, registry: registry)
    #expect(result.checkpoint.catalog.files.count > 1)
    let (before, after) = (try experts(model), try experts(result))
    for (before, after) in zip(before, after) {
      for (before, after) in zip(before, after) {
        #expect(before.projection == after.projection && before.role == after.role && before.rows == after.rows)
        guard before.role == .weight else {
          #expect(before.values == after.values)
          continue
        }
        // Fused tensors share scales between gate and up in nothing but a scale for the whole.
        if name == "fp8-tensor" && result.layers[0].experts.layoutName.hasPrefix("fused") { continue }
        if name == "nvfp4" && result.layers[0].experts.layoutName.hasPrefix("fused") { continue }
        if name == "fp8-block" && result.layers[0].experts.layoutName.hasPrefix("fused") { continue }
        let stored = try type.scheme.encode(before.values, rows: before.rows, columns: before.columns)
        #expect(after.values == (try type.scheme.decoder(of: stored).decode()), "\(before.projection)")
      }
    }
    // What is carried over is the same, byte for byte.
    for (tensor, bytes) in fixture.tensors.mapValues(\.bytes) where !tensor.contains("experts") {
      let record = try #require(result.checkpoint.catalog[tensor])
      #expect(try result.checkpoint.catalog.bytes(of: record) == bytes)
    }
  }

  /// What is written again in its own format, or through one that holds all its values, comes back bit for bit.
  @Test(arguments: ["mxfp4", "fp8-block", "int4-g32", "nf4", "bf16"]) func roundTrips(name: String) throws {
    let type = try WeightType(parsing: name)
    let source = try TemporaryFolder()
    let synthetic = try SyntheticModel(
      configuration: Self.configuration, layerCount: 1, type: type)
    try synthetic.write(to: source.path, seed: 4)
    let model = try MoEModel(opening: source.path)
    let (plain, again) = (try TemporaryFolder(), try TemporaryFolder())
    try CheckpointConversion(of: model, to: .f32).write(to: plain.path)
    try CheckpointConversion(of: MoEModel(opening: plain.path), to: type).write(to: again.path)
    let result = try MoEModel(opening: again.path)
    #expect(try experts(model) == experts(result))
    #expect(result.layers[0].experts.format == model.layers[0].experts.format)
  }

  @Test func someLayers() throws {
    let source = try TemporaryFolder()
    try SyntheticModel(configuration: Self.configuration, layerCount: 2).write(
      to: source.path, seed: 4)
    let model = try MoEModel(opening: source.path)
    let output = try TemporaryFolder()
    try CheckpointConversion(of: model, to: .mxfp8, layers: [1]).write(to: output.path)
    let formats = try MoEModel(opening: output.path).layers.map(\.experts.format)
    #expect(formats == ["BF16", "mxfp8"])
    expectFaults([.invalidArgument], ["layer 7"]) { _ = try CheckpointConversion(of: model, to: .mxfp8, layers: [7]) }
  }

  @Test func whatCannotBeWritten() throws {
    let source = try TemporaryFolder()
    try SyntheticModel(configuration: Self.configuration, layerCount: 1).write(
      to: source.path, seed: 4)
    let model = try MoEModel(opening: source.path)
    expectFaults([.unsupported], ["a type of GGUF", "ends in .gguf"]) {
      _ = try CheckpointConversion(of: model, to: WeightType(parsing: "q8_0"), in: .safetensors)
    }
    expectFaults([.shapeMismatch], ["multiple of 512"]) {
      _ = try CheckpointConversion(of: model, to: .int4Group(512, isSymmetric: true))
    }
  }
}
