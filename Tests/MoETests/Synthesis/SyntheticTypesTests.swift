// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors
import Testing

/// Synthetic checkpoints of every type of weights are read back as what they are.
@Suite struct SyntheticTypesTests {
  /// Families of each kind of layout, wide enough for every group.
  static let families = families(width: 128)

  private static func families(width: Int) -> [String: [String: JSONValue]] {
    var families: [String: [String: JSONValue]] = [:]
    for name in ["Mixtral", "Qwen2-MoE", "DeepSeek-V3", "Granite-MoE", "gpt-oss", "Llama-4"] {
      var configuration = TinyConfigurations.all[name]!
      configuration["hidden_size"] = .integer(width)
      for key in [
        "moe_intermediate_size", "intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size",
      ]
      where configuration[key] != nil { configuration[key] = .integer(width) }
      families[name] = configuration
    }
    return families
  }

  static let schemes = WeightTypeTests.names.filter { (try? WeightType(parsing: $0).container) == .safetensors }
  static let blocks = WeightTypeTests.names.filter { (try? WeightType(parsing: $0).container) == .gguf }

  /// Every family with types of each kind of name and scale, every type with the one family.
  static let safetensorsCases =
    families.keys.sorted().flatMap { family in ["fp8-tensor", "int4-g32-asym", "mxfp4"].map { (family, $0) } }
    + schemes.map { ("Mixtral", $0) }

  @Test(arguments: safetensorsCases)
  func safetensors(family: String, name: String) throws {
    let type = try WeightType(parsing: name)
    let model = try SyntheticModel(configuration: Self.families[family]!, layerCount: 1, type: type)
    let folder = try TemporaryFolder()
    var last = (0, 0)
    try model.write(to: folder.path, seed: 3) { last = ($0, $1) }
    #expect(last == (model.byteCount, model.byteCount))

    let opened = try MoEModel(opening: folder.path)
    #expect(opened.architecture == family)
    #expect(opened.layers.count == 1)
    let checkpoint = try Checkpoint(opening: folder.path)
    #expect(checkpoint.catalog.records.map(\.name) == model.tensors.map(\.name).sorted())
    let isQuantized = checkpoint.configuration["quantization_config"] != nil
    #expect(isQuantized == (type.elementType == nil))
    // Gates and biases stay as they are.
    for record in checkpoint.catalog.records where record.name.hasSuffix("gate.weight") {
      #expect(record.elementType == type.elementType ?? .bf16)
    }
  }

  /// The values behind a quantised checkpoint are those of the one that is not.
  @Test(arguments: ["fp8-block", "int8-channel", "int8-g32", "mxfp8", "int4-g32", "nf4", "nvfp4"])
  func sameWeights(name: String) throws {
    let type = try WeightType(parsing: name)
    let stem = "model.layers.0.block_sparse_moe.experts.3.w2"
    let plain = try TemporaryFolder()
    let other = try TemporaryFolder()
    let configuration = Self.families["Mixtral"]!
    try SyntheticModel(configuration: configuration, type: .f32).write(to: plain.path, seed: 9)
    try SyntheticModel(configuration: configuration, type: type).write(to: other.path, seed: 9)
    let catalog = try Checkpoint(opening: plain.path).catalog
    let weights = try catalog.floats(of: #require(catalog[stem + ".weight"]))

    let stored = try Checkpoint(opening: other.path).catalog
    let scheme = type.scheme
    var tensors: [TensorRole: StoredTensor] = [:]
    for tensor in scheme.tensors {
      guard let record = stored[stem + tensor.suffixes[0]] else { continue }
      tensors[tensor.role] = StoredTensor(record.elementType, record.shape, try stored.bytes(of: record))
    }
    let expected = try scheme.encode(weights, rows: 128, columns: 128, name: stem)
    #expect(tensors == expected.tensors)
  }

  /// Every family with the one type, every type with the one family.
  static let ggufCases = families.keys.sorted().map { ($0, "q8_0") } + blocks.map { ("Mixtral", $0) }

  @Test(arguments: ggufCases)
  func gguf(family: String, name: String) throws {
    let type = try WeightType(parsing: name)
    let model = try SyntheticModel(
      configuration: Self.families(width: 256)[family]!, layerCount: 1, expertCount: family == "Mixtral" ? 2 : nil,
      type: type)
    let folder = try TemporaryFolder()
    try model.write(to: folder.path, seed: 3)
    let opened = try MoEModel(opening: folder["model-\(name).gguf"])
    #expect(opened.layers.count == 1 && opened.layers[0].experts.format.uppercased() == name.uppercased())
    let checkpoint = opened.checkpoint.catalog
    let metadata = try #require(checkpoint.ggufMetadata)
    let experts = ["Mixtral": 2, "Llama-4": 4][family] ?? 8
    let architecture = try #require(metadata["general.architecture"]?.string)
    let names = [
      "Mixtral": "llama", "Qwen2-MoE": "qwen2moe", "DeepSeek-V3": "deepseek2", "Granite-MoE": "granitemoe",
      "gpt-oss": "gpt-oss", "Llama-4": "llama4",
    ]
    #expect(architecture == names[family])
    #expect(metadata["\(architecture).expert_count"] == .integer(experts))
    #expect(metadata["\(architecture).embedding_length"] == 256)
    #expect(metadata["\(architecture).expert_feed_forward_length"] == 256)
    if family == "DeepSeek-V3" {
      #expect(metadata["deepseek2.expert_gating_func"] == 2)
      #expect(metadata["deepseek2.expert_weights_scale"] == 2.5)
      #expect(metadata["deepseek2.leading_dense_block_count"] == 1)
      #expect(checkpoint["blk.1.exp_probs_b.bias"]?.shape == [8])
    }
    let layer = family == "DeepSeek-V3" ? 1 : 0
    let down = try #require(checkpoint["blk.\(layer).ffn_down_exps.weight"])
    #expect(down.logicalShape == [experts, 256, 256] && down.ggmlType == type.ggmlType)
    #expect(checkpoint["blk.\(layer).ffn_gate_inp.weight"]?.elementType == .f32)
    #expect((checkpoint["blk.\(layer).ffn_up_exps.bias"] != nil) == (family == "gpt-oss"))
    // Uniform values of the deviation 1.2 / √in: none is far off, and they are not all the same.
    let values = try checkpoint.floats(of: down)[257 * 256..<258 * 256]
    let bound = 1.2 / Float(256).squareRoot() * Float(3).squareRoot()
    #expect(values.allSatisfy { $0.magnitude < 1.3 * bound } && Set(values).count >= 3)
  }

  @Test func sizesThatDoNotDivide() throws {
    let configuration = TinyConfigurations.all["Mixtral"]!
    let faults = expectFaults([.shapeMismatch], ["in a multiple of 128", "a type with groups of 32 divides it"]) {
      _ = try SyntheticModel(configuration: configuration, type: WeightType(parsing: "int4-g128"))
    }
    #expect(faults[0].subject == "model.layers.0.block_sparse_moe.experts.0.w1")
    expectFaults([.shapeMismatch], ["Q4_K", "a multiple of 256"]) {
      _ = try SyntheticModel(configuration: configuration, type: WeightType(parsing: "q4_k"))
    }
  }

  @Test func formsThatNobodyKnows() throws {
    expectFaults([.unsupported], ["merged"]) {
      _ = try SyntheticModel(configuration: TinyConfigurations.all["DBRX"]!, type: .mxfp8)
    }
    expectFaults([.unsupported], ["no name in GGUF"]) {
      _ = try SyntheticModel(configuration: TinyConfigurations.all["LongCat-Flash"]!, type: .ggml(.q8_0))
    }
  }

  /// The result does not depend on the number of workers.
  @Test func workers() throws {
    let model = try SyntheticModel(configuration: Self.families["Qwen2-MoE"]!, type: .int4Group(32, isSymmetric: true))
    let contents = try [1, 3].map { threads in
      let folder = try TemporaryFolder()
      try model.write(to: folder.path, seed: 5, pool: try #require(WorkerPool(threads: threads)))
      return try RandomAccessFile.contents(of: folder["model.safetensors"], limit: 1 << 28)
    }
    #expect(contents[0] == contents[1])
  }

  @Test(arguments: ["bf16", "int4-g128", "nvfp4", "q4_k"]) func holes(name: String) throws {
    let type = try WeightType(parsing: name)
    let model = try SyntheticModel(ModelPreset(named: "Mixtral-8x22B")!, layerCount: 2, type: type)
    let folder = try TemporaryFolder()
    try model.write(to: folder.path, seed: 1, sparse: true)
    let bytes = try Checkpoint(opening: folder.path).catalog.byteCount
    #expect(bytes == model.byteCount && bytes > 2_000_000_000)
  }
}
