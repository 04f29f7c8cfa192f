// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// The MoE layers of a checkpoint: sizes, routing, and where every tensor lies. Only headers were read for it.
///
/// ```swift
/// let model = try MoEModel(opening: "Qwen3-30B-A3B")
/// for layer in model.layers { print(layer.index, layer.specification.expertCount, layer.plan) }
/// let layer = try MoELayer(model.layers[0], of: model, on: CPUBackend())
/// let output = try layer.forward(hidden)
/// ```
public struct MoEModel: Sendable {
  public let checkpoint: Checkpoint
  public let configuration: ModelConfiguration
  /// The family's name.
  public let architecture: String
  /// In ascending order of ``Layer/index``.
  public let layers: [Layer]
  /// What a user should know: assumptions, layouts that are not the family's own.
  public let notes: [String]

  /// One MoE layer.
  public struct Layer: Sendable {
    public let index: Int
    /// What its tensors' names begin with.
    public let prefix: String
    /// The module below it that has the experts.
    let block: String
    /// The width of the model, H. The routed experts' may be narrower.
    public let hiddenSize: Int
    public let topK: Int
    public let plan: RouterPlan
    public let experts: ExpertSource
    public let gate: GateSource
    public let shared: SharedSource?
    /// Projections into and out of the width of the routed experts.
    public let latent: LatentSource?
    public let outputNorm: NormSource?
    /// What a decoder multiplies the block's output by before it adds the residual (Granite).
    public let residualMultiplier: Float

    public var specification: LayerSpecification { experts.specification }
  }

  /// The tensors of a gate and of the router behind it.
  public struct GateSource: Sendable {
    public let weight: TensorRecord
    public let bias: TensorRecord?
    public let correctionBias: TensorRecord?
    public let hashTable: TensorRecord?
    /// Gemma-4's scale of the gate's input, with the ε of the norm before it.
    public let inputScale: NormSource?
    public let perExpertScale: TensorRecord?
  }

  public struct SharedSource: Sendable {
    public let experts: ExpertSource
    public let gate: TensorRecord?
    public let combination: SharedCombination
  }

  public struct LatentSource: Sendable {
    public let down: TensorRecord
    public let up: TensorRecord
  }

  public struct NormSource: Sendable {
    public let scale: TensorRecord
    public let epsilon: Float
  }
}

extension MoEModel {
  /// Reads a checkpoint's headers and resolves its MoE layers.
  ///
  /// - Parameters:
  ///   - path: a folder, a safetensors file with `config.json` beside it, or a GGUF file.
  ///   - layers: the layers to resolve; all when nil.
  /// - Throws: a ``MoEError`` with every fault of every layer asked for.
  public init(
    opening path: String, layers: Set<Int>? = nil, registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    let checkpoint: Checkpoint
    do throws(CheckpointError) {
      checkpoint = try Checkpoint(opening: path)
    } catch {
      throw MoEError(error.faults)
    }
    try self.init(checkpoint, layers: layers, registry: registry)
  }

  public init(
    _ checkpoint: Checkpoint, layers wanted: Set<Int>? = nil, registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    let isGGUF = checkpoint.catalog.ggufMetadata != nil
    let configuration =
      isGGUF
      ? GGUFFamily.configuration(of: checkpoint)
      : ModelConfiguration(checkpoint.configuration, file: checkpoint.configurationPath)
    let match = registry.match(configuration).map { isGGUF ? $0.inGGUF() : $0 }
    let architecture = match ?? (isGGUF ? Architecture.unknownInGGUF : Architecture.unknown)
    let layerCount = try configuration.size(ModelConfiguration.Quantity.layerCount.keys)

    let quantization = try QuantizationSettings(checkpoint)

    var notes = checkpoint.warnings
    var faults: [Fault] = []
    var known: Set<Fault> = []
    var layers: [Layer] = []
    var stackOfLayers: Set<String> = []
    var found: Set<Int> = []
    var others: [Int] = []
    for (stack, members) in CatalogLayer.stacks(of: checkpoint.catalog).sorted(by: { $0.key < $1.key }) {
      for (index, tensors) in members.sorted(by: { $0.key < $1.key })
      where index < layerCount ?? .max {
        var resolver = LayerResolver(
          tensors: tensors, architecture: architecture, isKnown: match != nil, configuration: configuration,
          catalog: checkpoint.catalog, quantization: quantization)
        guard wanted?.contains(index) ?? true else {
          if resolver.candidates() != nil { others.append(index) }
          continue
        }
        if let layer = resolver.resolve() { layers.append(layer) }
        if resolver.isMoE {
          stackOfLayers.insert(stack)
          found.insert(index)
        }
        // What is wrong with the configuration is wrong in every layer, and is told once.
        faults += resolver.faults.filter { known.insert($0).inserted }
        notes += resolver.notes.filter { !notes.contains($0) }
      }
    }
    if stackOfLayers.count > 1 {
      faults.append(
        Fault(
          .ambiguousLayout, "MoE layers stand under more than one prefix", file: checkpoint.path,
          found: stackOfLayers.sorted().joined(separator: ", ")))
    }
    if stackOfLayers.isEmpty {
      faults.append(
        others.isEmpty
          ? Self.noLayers(architecture, isKnown: match != nil, configuration, path: checkpoint.path)
          : Self.noSuchLayer(wanted ?? [], others.sorted(), path: checkpoint.path))
    }
    if match != nil, !stackOfLayers.isEmpty, let layerCount {
      var lost: [Int] = []
      for layer in 0..<min(layerCount, Self.layerLimit) where wanted?.contains(layer) ?? true && !found.contains(layer)
      {
        if try configuration.declaresMoE(layer: layer) == true { lost.append(layer) }
      }
      if !lost.isEmpty { faults.append(Self.lostLayers(lost, configuration, path: checkpoint.path)) }
    }
    guard faults.isEmpty else { throw MoEError(Self.readable(faults)) }
    if match == nil {
      notes.append(
        "warning: unknown architecture \(Self.identity(configuration)): its tensors follow the layout "
          + "\"\(layers[0].experts.layoutName)\" at \(layers[0].prefix); routing was assumed to be \(layers[0].plan)")
    }
    self.checkpoint = checkpoint
    self.configuration = configuration
    self.architecture = architecture.name
    self.layers = layers
    self.notes = notes
  }

  /// The layer of a number.
  ///
  /// - Throws: `invalidArgument` naming the MoE layers there are.
  public func layer(_ index: Int) throws(MoEError) -> Layer {
    guard let layer = layers.first(where: { $0.index == index }) else {
      throw MoEError([Self.noSuchLayer([index], layers.map(\.index), path: checkpoint.path)])
    }
    return layer
  }

  /// The first of the faults, and the number of the others where nobody would read them all.
  private static func readable(_ faults: [Fault]) -> [Fault] {
    let limit = LayerResolver.faultLimit
    guard faults.count > limit else { return faults }
    return faults.prefix(limit) + [Fault(faults[limit].code, "and \(faults.count - limit) more faults")]
  }

  private static func identity(_ configuration: ModelConfiguration) -> String {
    let names = configuration.everyString("model_type") + configuration.everyString("architectures")
    return names.isEmpty ? "(no model_type)" : names.joined(separator: ", ")
  }

  private static func noLayers(
    _ architecture: Architecture, isKnown: Bool, _ configuration: ModelConfiguration, path: String
  ) -> Fault {
    let stems = architecture.blocks.prefix(isKnown ? .max : 1).flatMap { block in
      architecture.layouts.map { $0.up.stem.inBlock(block) }
    }
    let expected = "tensors below each layer such as \(Set(stems).sorted().joined(separator: ", "))"
    if isKnown {
      return Fault(.missingTensor, "no MoE layer found", file: path, subject: architecture.name, expected: expected)
    }
    return Fault(
      .unknownArchitecture, "unknown architecture, and no layer follows a known layout", file: path,
      subject: identity(configuration), expected: expected, remedy: "register an Architecture for it")
  }

  /// Layers that are looked for one by one: more than any model has.
  private static let layerLimit = 4096

  private static func lostLayers(_ layers: [Int], _ configuration: ModelConfiguration, path: String) -> Fault {
    Fault(
      .missingTensor, "\(configuration.file) declares MoE layers that have no experts", file: path,
      expected: "experts in layer(s) \(layers.map(String.init).joined(separator: ", "))", found: "none",
      remedy: "a shard may be missing; or open only the layers that are there")
  }

  private static func noSuchLayer(_ wanted: Set<Int>, _ layers: [Int], path: String) -> Fault {
    let names = wanted.sorted().map(String.init).joined(separator: ", ")
    return Fault(
      .invalidArgument, "layer \(names) is no MoE layer", file: path,
      expected: "one of \(layers.map(String.init).joined(separator: ", "))")
  }
}
