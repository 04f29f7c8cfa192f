// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension CheckpointConversion {
  /// What a new checkpoint says of itself.
  struct Header {
    var configuration = JSONValue.null
    var metadata: [String: GGUFValue] = [:]
    var notes: [String] = []
  }

  /// The name of the GGUF file without tensors that keeps, beside safetensors, what a `config.json` has no place for:
  /// the tokenizer above all. llama.cpp writes such files (`convert_hf_to_gguf.py --vocab-only`).
  public static let vocabularyName = "ggml-vocab.gguf"
}

extension CheckpointConversion.Header {
  init(
    of model: MoEModel, _ own: Architecture, _ type: WeightType, _ container: WeightType.Container,
    carried: [OutputTensor]
  ) throws(MoEError) {
    let isGGUF = model.checkpoint.catalog.ggufMetadata != nil
    if isGGUF { metadata = try Self.values(of: model.checkpoint.catalog.files[0].path) }
    switch container {
    case .gguf:
      if !isGGUF { try describe(model) }
      if type.typeInGGUF?.elementType == nil, metadata["general.quantization_version"] == nil {
        metadata["general.quantization_version"] = .uint32(2)
      }
    case .safetensors:
      var values = isGGUF ? Self.settings(of: model, own, type) : model.checkpoint.configuration.object ?? [:]
      quantization(&values, of: model, own, type, carried)
      configuration = .object(values)
      if isGGUF {
        notes.append(
          "all metadata of the file stay in \(CheckpointConversion.vocabularyName), the tokenizer among them")
      }
    }
  }

  /// The metadata of a GGUF file but for those of its arrangement.
  private static func values(of path: String) throws(MoEError) -> [String: GGUFValue] {
    do throws(CheckpointError) {
      return try GGUFFile(opening: path).values().filter {
        $0.key != "general.alignment" && !$0.key.hasPrefix("split.")
      }
    } catch {
      throw MoEError(error.faults)
    }
  }

  /// From `config.json`, and from the file that keeps the rest.
  private mutating func describe(_ model: MoEModel) throws(MoEError) {
    guard let family = GGUFFamily.named(model.configuration), let layer = model.layers.first else { return }
    let configuration = model.configuration
    var described = GGUFMetadata(family, configuration, name: model.checkpoint.name)
    let count = try configuration.size(ModelConfiguration.Quantity.layerCount.keys) ?? model.layers.last!.index + 1
    let specification = layer.specification
    let shared = try layer.shared.map { (shared) throws(MoEError) in
      (
        count: try configuration.size("n_shared_experts", "num_shared_experts", "moe_num_shared_experts") ?? 1,
        intermediate: shared.experts.specification.intermediateSize
      )
    }
    described.describe(
      experts: specification.expertCount, topK: layer.topK, hidden: layer.hiddenSize,
      intermediate: specification.intermediateSize, shared: shared, layers: layer.index..<count)
    let hashed = model.layers.prefix { $0.plan.isByToken }
    described.describe(hashLayers: hashed.count)
    described.describe((model.layers.dropFirst(hashed.count).first ?? layer).plan)
    metadata = described.values
    let left = configuration.keys(besides: family.settingNames)
    if !left.isEmpty {
      notes.append("settings of config.json that have no key here: \(left.joined(separator: ", "))")
    }
    guard let vocabulary = model.checkpoint.companionPath(CheckpointConversion.vocabularyName) else {
      notes.append(
        "the file has no tokenizer, which llama.cpp needs: put \(CheckpointConversion.vocabularyName), as "
          + "convert_hf_to_gguf.py --vocab-only writes it, beside config.json and convert again")
      return
    }
    metadata.merge(try Self.values(of: vocabulary)) { _, kept in kept }
  }

  /// The settings of a GGUF file as the family's own checkpoints have them.
  private static func settings(of model: MoEModel, _ own: Architecture, _ type: WeightType) -> [String: JSONValue] {
    var (family, values, _) = GGUFFamily.settings(of: model.checkpoint)
    for (name, other) in family?.spelling ?? [:] { values[other] = values.removeValue(forKey: name) ?? values[other] }
    // A word of GGUF's; who scores so does it always.
    if values["scoring_func"] == .string(Scoring.selectedSoftmax.rawValue) { values["scoring_func"] = nil }
    values["architectures"] = own.classNames.first.map { [.string($0)] }
    values["torch_dtype"] = .string(["f32": "float32", "f16": "float16"]["\(type)"] ?? "bfloat16")
    let tokens = model.checkpoint.catalog.ggufMetadata?["tokenizer.ggml.tokens"]?.array?.count
    if values["vocab_size"] == nil { values["vocab_size"] = tokens.map { .integer($0) } }
    return values
  }

  /// Quantised modules other than the experts keep their tensors, which say by themselves what they are; one
  /// `quantization_config` has room for one method.
  private mutating func quantization(
    _ values: inout [String: JSONValue], of model: MoEModel, _ own: Architecture, _ type: WeightType,
    _ carried: [OutputTensor]
  ) {
    let previous = ["quantization_config", "compression_config"].first { values[$0].map { !$0.isNull } ?? false }
    let kept = previous.flatMap { values[$0] }
    let weights = carried.filter { $0.name.hasSuffix(".weight") }
    let modules = weights.filter { $0.shape.rank == 2 }.map { String($0.name.dropLast(".weight".utf8.count)) }
    let isQuantized = weights.contains { ![.bf16, .f16, .f32].contains($0.elementType) }
    for key in ["quantization_config", "compression_config", "expert_dtype"] { values[key] = nil }
    let description = own.quantization(type, ignoring: modules)
    guard isQuantized, let previous, let kept else {
      values["quantization_config"] = description
      return
    }
    values[description == nil ? previous : "quantization_config"] =
      description.map { Self.joined($0, kept, modules: weights.compactMap(\.floatModule)) } ?? kept
    if description != nil {
      notes.append("modules besides the converted experts stay quantised as they were, as their tensors say")
    }
  }

  /// The description of the experts, with what is needed to understand modules that stay as they were.
  ///
  /// - Parameter modules: those with weights of 8-bit floats.
  private static func joined(_ experts: JSONValue, _ previous: JSONValue, modules: [String]) -> JSONValue {
    guard var values = experts.object else { return experts }
    let blocks = previous["weight_block_size"].flatMap { $0.isNull ? nil : $0 }
    guard var groups = values["config_groups"]?.object else {
      values["weight_block_size"] = values["weight_block_size"] ?? blocks
      return .object(values)
    }
    if let others = previous["config_groups"]?.object {
      for (name, group) in groups {
        var group = group.object ?? [:]
        group["targets"] = [#"re:.*\.experts\..*"#]
        groups[name] = .object(group)
      }
      for (name, group) in others {
        var group = group.object ?? [:]
        group["format"] = group["format"] ?? previous["format"]
        groups["kept_\(name)"] = .object(group)
      }
    } else if let blocks, !modules.isEmpty {
      groups["kept"] = [
        "targets": .array(modules.map { .string($0) }), "format": "float-quantized", "input_activations": .null,
        "weights": [
          "num_bits": 8, "type": "float", "strategy": "block", "block_structure": blocks, "symmetric": true,
          "dynamic": false,
        ],
      ]
    }
    values["config_groups"] = .object(groups)
    return .object(values)
  }
}

extension OutputTensor {
  /// The module of weights of 8-bit floats.
  fileprivate var floatModule: String? {
    [.f8e4m3, .f8e5m2].contains(elementType) ? String(name.dropLast(".weight".utf8.count)) : nil
  }
}
