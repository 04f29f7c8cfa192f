// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Models that change between safetensors and GGUF keep every tensor, and blocks that are there already every bit.
@Suite struct GGUFConversionTests {
  private func experts(_ model: MoEModel) throws -> [[ExpertTensor]] {
    try model.layers.flatMap { layer in
      let plan = try LoadPlan(layer.experts, on: ReferenceBackend())
      return try plan.slots.map { try plan.values(of: $0, from: model.checkpoint.catalog) }
    }
  }

  /// The values of every tensor, by name.
  private func values(_ model: MoEModel) throws -> [String: [Float]] {
    let catalog = model.checkpoint.catalog
    return Dictionary(uniqueKeysWithValues: try catalog.records.map { ($0.name, try catalog.floats(of: $0)) })
  }

  private func convert(
    _ model: MoEModel, _ type: String, _ container: WeightType.Container, to folder: TemporaryFolder,
    layers: Set<Int>? = nil, expertsOnly: Bool = false
  ) throws -> MoEModel {
    let conversion = try CheckpointConversion(
      of: model, to: WeightType(parsing: type), in: container, layers: layers, expertsOnly: expertsOnly)
    let path = container == .gguf ? folder["model.gguf"] : folder.path
    try conversion.write(to: path)
    return try MoEModel(opening: path)
  }

  private func synthetic(_ family: String, _ type: String, in folder: TemporaryFolder) throws -> MoEModel {
    let type = try WeightType(parsing: type)
    var configuration = SyntheticTypesTests.families[family]!
    if family == "gpt-oss" { configuration["swiglu_limit"] = 7 }
    try SyntheticModel(configuration: configuration, layerCount: 1, type: type).write(to: folder.path, seed: 12)
    return try MoEModel(opening: folder.path)
  }

  /// bf16 there and back: names, shapes and values are those of the beginning.
  @Test(arguments: SyntheticTypesTests.families.keys.sorted()) func thereAndBack(family: String) throws {
    let (source, gguf, again) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
    let model = try synthetic(family, "bf16", in: source)
    let middle = try convert(model, "bf16", .gguf, to: gguf)
    #expect(middle.architecture == family && middle.layers[0].experts.format == "BF16")
    let result = try convert(middle, "bf16", .safetensors, to: again)
    #expect(try experts(middle) == experts(model))
    #expect(try values(result) == values(model))
    #expect(result.layers[0].experts.layoutName == model.layers[0].experts.layoutName)
    for record in model.checkpoint.catalog.records where record.name.contains(".experts.") {
      #expect(result.checkpoint.catalog[record.name]?.shape == record.shape)
    }
  }

  /// What has the type already is copied, also of types whose scales would be searched for; metadata stay.
  @Test func sameBlocks() throws {
    let folder = try #require(Oracle.folders.first { $0.hasSuffix("gguf_llama_Q4_K_Q6_K") })
    let model = try MoEModel(opening: folder + "/model.gguf")
    let output = try TemporaryFolder()
    let result = try convert(model, "q4_k", .gguf, to: output)
    let (before, after) = (model.checkpoint.catalog, result.checkpoint.catalog)
    #expect(before.ggufMetadata?.filter { after.ggufMetadata?[$0.key] != $0.value } == [:])
    #expect(before.records.map(\.name) == after.records.map(\.name))
    for (old, new) in zip(before.records, after.records) {
      guard old.ggmlType != .q6_K else {
        #expect(new.ggmlType == .q4_K)
        continue
      }
      #expect(old.ggmlType == new.ggmlType)
      #expect(try before.bytes(of: old) == after.bytes(of: new), "\(old.name)")
    }
  }

  /// Through 32-bit floats in safetensors, blocks come back bit for bit, and metadata with their types.
  @Test(arguments: ["q8_0", "q4_0"]) func blocksThroughFloats(name: String) throws {
    let (source, plain, again) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
    let model = try synthetic("Mixtral", name, in: source)
    let floats = try convert(model, "f32", .safetensors, to: plain)
    #expect(try experts(floats) == experts(model))
    let result = try convert(floats, name, .gguf, to: again)
    let (before, after) = (model.checkpoint.catalog, result.checkpoint.catalog)
    for record in before.records {
      #expect(try after.bytes(of: #require(after[record.name])) == before.bytes(of: record), "\(record.name)")
    }
    let metadata = try GGUFFile(opening: again["model.gguf"]).values()
    for (key, value) in try GGUFFile(opening: source["model-\(name).gguf"]).values() {
      #expect(metadata[key] == value, "\(key)")
    }
  }

  /// The two forms of MXFP4 hold the same codes in another order.
  @Test func mxfp4() throws {
    let (source, gguf, again) = (try TemporaryFolder(), try TemporaryFolder(), try TemporaryFolder())
    let model = try synthetic("Qwen2-MoE", "mxfp4", in: source)
    let middle = try convert(model, "mxfp4", .gguf, to: gguf)
    #expect(middle.layers[0].experts.format == "MXFP4")
    let result = try convert(middle, "mxfp4", .safetensors, to: again)
    #expect(try experts(middle) == experts(model))
    #expect(try experts(result) == experts(model))
  }

  /// A whole model of another program's: attention, norms and embeddings come with it, and the rows of Mixtral's query
  /// and key heads alternate as llama.cpp has them.
  @Test(
    arguments: Oracle.folders.filter {
      ["arch_mixtral", "arch_deepseek_v3", "q_ct_mxfp4_mixtral"].contains($0.split(separator: "/").last!)
    })
  func wholeModel(folder: String) throws {
    let (gguf, again) = (try TemporaryFolder(), try TemporaryFolder())
    let model = try MoEModel(opening: folder)
    let middle = try convert(model, "f32", .gguf, to: gguf)
    let result = try convert(middle, "f32", .safetensors, to: again)
    #expect(try experts(result) == experts(model))
    let (before, after) = (try values(model), try values(result))
    for (name, values) in before where !name.contains(".experts.") { #expect(after[name] == values, "\(name)") }
    guard model.architecture == "Mixtral" else { return }
    let heads = try #require(try model.configuration.integer("num_attention_heads"))
    let (query, moved) = (
      try #require(before["model.layers.0.self_attn.q_proj.weight"]),
      try #require(try values(middle)["blk.0.attn_q.weight"])
    )
    let width = try #require(try model.configuration.integer("hidden_size"))
    let half = query.count / width / heads / 2
    for (row, source) in [(0, 0), (1, half), (2, 1), (2 * half, 2 * half), (2 * half + 1, 3 * half)] {
      #expect(moved[row * width..<(row + 1) * width].elementsEqual(query[source * width..<(source + 1) * width]))
    }
  }

  @Test func someLayersAndBlocksAlone() throws {
    let folder = try #require(Oracle.folders.first { $0.hasSuffix("arch_mixtral") })
    let model = try MoEModel(opening: folder)
    let (mixed, alone) = (try TemporaryFolder(), try TemporaryFolder())
    let result = try convert(model, "f32", .gguf, to: mixed, layers: [1])
    #expect(result.layers.map(\.experts.format) == ["BF16", "F32"])
    let blocks = try convert(model, "f16", .gguf, to: alone, expertsOnly: true)
    #expect(blocks.checkpoint.catalog.records.count == 4 * model.layers.count)
    #expect(blocks.layers.map(\.experts.format) == ["F16", "F16"])
  }

  /// A family that several of llama.cpp's architectures follow is written as the one that has its rules.
  @Test func groups() throws {
    let (source, gguf) = (try TemporaryFolder(), try TemporaryFolder())
    var configuration = try #require(TinyConfigurations.all["DeepSeek-V2"])
    configuration["topk_method"] = "group_limited_greedy"
    try SyntheticModel(configuration: configuration, layerCount: 1).write(to: source.path, seed: 1)
    let model = try MoEModel(opening: source.path)
    #expect("\(model.layers[0].plan)".contains("groups"))
    let result = try convert(model, "bf16", .gguf, to: gguf)
    #expect(result.checkpoint.catalog.ggufMetadata?["general.architecture"] == "deepseek2")
    #expect(result.layers[0].plan == model.layers[0].plan)
  }

  @Test func refusals() throws {
    let source = try TemporaryFolder()
    var fixture = try CheckpointFixture(synthetic: SyntheticTypesTests.families["Qwen2-MoE"]!)
    fixture.add("model.layers.0.self_attn.indexer.weight", [4, 4])
    fixture.add("model.visual.weight", [4, 4])
    try fixture.write(to: source.path)
    let model = try MoEModel(opening: source.path)
    let output = try TemporaryFolder()
    let names = ["model.layers.{n}.self_attn.indexer.weight, model.visual.weight", "--experts-only"]
    expectFaults([.unsupported], names) { _ = try convert(model, "bf16", .gguf, to: output) }
    expectFaults([.unsupported], ["GGUF has no such type"]) {
      _ = try convert(model, "nf4", .gguf, to: output, expertsOnly: true)
    }
    expectFaults([.shapeMismatch], ["multiple of 256", "found 128"]) {
      _ = try convert(model, "q4_k", .gguf, to: output, expertsOnly: true)
    }
    // What llama.cpp has as a constant can't be another number.
    var clamped = SyntheticTypesTests.families["gpt-oss"]!
    clamped["swiglu_limit"] = 1
    let folder = try TemporaryFolder()
    try SyntheticModel(configuration: clamped, layerCount: 1).write(to: folder.path, seed: 1)
    expectFaults([.unsupported], ["layer 0", "activation", "limit 7.0"]) {
      _ = try convert(MoEModel(opening: folder.path), "bf16", .gguf, to: output)
    }
  }
}
