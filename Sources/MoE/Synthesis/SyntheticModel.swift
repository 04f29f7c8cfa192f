// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// A checkpoint of a model's exact shapes and names, with random weights: only what its MoE blocks need.
///
/// ```swift
/// let model = try SyntheticModel(ModelPreset(named: "Granite-3-1B-A400M")!, layerCount: 2)
/// try model.write(to: "granite", seed: 1)
/// let small = try SyntheticModel(ModelPreset(named: "Mixtral-8x7B")!, type: WeightType(parsing: "q4_k"))
/// try small.write(to: "mixtral", seed: 1)    // mixtral/model-q4_k.gguf
/// ```
public struct SyntheticModel: Sendable {
  /// The `config.json`.
  public let configuration: [String: JSONValue]
  /// The type of the experts' weights.
  public let type: WeightType
  /// The metadata of a GGUF file; empty where safetensors are written.
  let metadata: [String: GGUFValue]
  /// What is made, in the order of the files.
  let units: [SyntheticUnit]

  /// - Parameters:
  ///   - preset: A released model.
  ///   - layerCount: MoE layers, the preset's own number when nil; dense layers before them keep their numbers.
  ///   - expertCount: routed experts, the preset's own number when nil.
  ///   - type: of the weights of the experts, the shared ones among them. Everything else is bf16, in GGUF f32.
  ///   - registry: The families that are known.
  /// - Throws: `configuration` when the numbers make no model, `shapeMismatch` for a type into whose groups and blocks
  ///   the experts do not divide, `unsupported` for a type in which the family's experts can't be stored.
  public init(
    _ preset: ModelPreset, layerCount: Int? = nil, expertCount: Int? = nil, type: WeightType = .bf16,
    registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    try self.init(
      configuration: preset.configuration, layerCount: layerCount, expertCount: expertCount, type: type,
      registry: registry)
  }

  /// A model of any configuration whose architecture is known.
  public init(
    configuration: [String: JSONValue], layerCount: Int? = nil, expertCount: Int? = nil, type: WeightType = .bf16,
    registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    var configuration = configuration
    let original = ModelConfiguration(.object(configuration), file: "config.json")
    guard let architecture = registry.match(original) else {
      throw MoEError(.unknownArchitecture, "unknown architecture", file: "config.json")
    }
    if let expertCount { configuration.set(.expertCount, to: expertCount) }
    let firstLayer = try original.size("first_k_dense_replace", "num_dense_layers") ?? 0
    let layerTotal = try original.required(.layerCount)
    let count = layerCount ?? layerTotal - firstLayer
    guard count > 0, count <= layerTotal - firstLayer else {
      throw MoEError(
        .configuration, "the model has no such number of MoE layers",
        expected: "1...\(max(0, layerTotal - firstLayer))", found: "\(count)")
    }
    let layers = firstLayer..<firstLayer + count
    configuration.set(.layerCount, to: layers.upperBound)
    let plainType = type.elementType ?? .bf16
    configuration["torch_dtype"] = .string(["F32": "float32", "F16": "float16"][plainType.rawValue] ?? "bfloat16")
    var final = ModelConfiguration(.object(configuration), file: "config.json")
    if architecture.hasImageExperts { final = final.ofText() }
    let stored = type.container == .gguf ? architecture.inGGUF() : architecture
    let made = try layers.map { (index) throws(MoEError) in
      try SyntheticLayer(stored, final, layer: index, type: type)
    }
    metadata = type.container == .gguf ? try Self.metadata(made[0], architecture, layers) : [:]
    units = try made.map { (layer) throws(MoEError) in try layer.units() }.flatMap(\.self)
    let format = architecture.quantization(
      type, ignoring: ["lm_head", "model.embed_tokens"] + made.flatMap(\.gateModules))
    if let format { configuration["quantization_config"] = format }
    self.configuration = configuration
    self.type = type
  }

  /// - Throws: `.unsupported` for a family that has no name in GGUF.
  private static func metadata(
    _ layer: SyntheticLayer, _ architecture: Architecture, _ layers: Range<Int>
  ) throws(MoEError) -> [String: GGUFValue] {
    let configuration = layer.context.configuration
    guard let family = GGUFFamily.named(configuration) else { throw architecture.unnamedInGGUF }
    var metadata = GGUFMetadata(family, configuration, name: "synthetic \(architecture.name)")
    let count = try configuration.size("n_shared_experts", "num_shared_experts") ?? 1
    metadata.describe(
      experts: layer.context.expertCount, topK: layer.context.topK, hidden: layer.hiddenSize,
      intermediate: layer.context.intermediateSize,
      shared: try layer.sharedExperts().map { (count, $0.intermediateSize) }, layers: layers)
    metadata.describe(layer.plan)
    return metadata.values
  }

  /// Everything that is written.
  public var tensors: [Tensor] { units.flatMap(\.tensors) }

  public var byteCount: Int { units.reduce(0) { $0 + $1.byteCount } }
}

extension [String: JSONValue] {
  /// Sets a quantity under the spelling that is there.
  fileprivate mutating func set(_ quantity: ModelConfiguration.Quantity, to value: Int) {
    for key in quantity.keys {
      let path = key.split(separator: ".").map(String.init)
      if path.count == 1, self[key] != nil {
        self[key] = .integer(value)
      } else if path.count == 2, case .object(var nested)? = self[path[0]], nested[path[1]] != nil {
        nested[path[1]] = .integer(value)
        self[path[0]] = .object(nested)
      }
    }
  }
}
