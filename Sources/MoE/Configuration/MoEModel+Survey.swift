// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
public import Tensors

extension MoEModel {
  /// What a part of a model is: of which layer, expert and projections. What is nil or empty is not told apart.
  public struct Place: Sendable, Hashable {
    public var layer: Int?
    /// Whether it is of the shared experts.
    public var isShared: Bool
    public var expert: Int?
    /// More than one where they share a tensor.
    public var projections: [Projection]

    public init(layer: Int? = nil, isShared: Bool = false, expert: Int? = nil, projections: [Projection] = []) {
      self.layer = layer
      self.isShared = isShared
      self.expert = expert
      self.projections = projections
    }
  }

  /// Something wrong, and where in the model.
  public struct PlacedFault: Sendable, Hashable {
    public var place: Place
    public var fault: Fault

    public init(_ fault: Fault, at place: Place = Place()) {
      self.place = place
      self.fault = fault
    }
  }

  /// What the headers of a checkpoint say of its MoE layers, those that are whole and those that are not.
  ///
  /// A ``MoEModel`` is a survey without faults.
  ///
  /// ```swift
  /// let survey = MoEModel.Survey(try Checkpoint(opening: path))
  /// print(survey.layers.count, "of", survey.outlines.count, "layers are whole")
  /// ```
  public struct Survey: Sendable {
    public let checkpoint: Checkpoint
    public let configuration: ModelConfiguration
    /// The family's name.
    public let architecture: String
    /// The layers that are whole, in ascending order.
    public private(set) var layers: [Layer] = []
    /// All MoE layers that were asked for.
    public private(set) var outlines: [Outline] = []
    public private(set) var faults: [PlacedFault] = []
    public private(set) var notes: [String]

    private let match: Architecture?
    /// Layers with experts that were not asked for.
    private var others: [Int] = []

    /// Faults of one layer that are listed where nobody asks for more.
    public static let usualFaultLimit = 1000

    /// A layer that has experts or should have.
    public struct Outline: Sendable, Hashable {
      public var index: Int
      /// What its tensors' names begin with.
      public var prefix: String
      /// nil where the configuration gives none.
      public var expertCount: Int?
      public var isWhole: Bool
    }
  }
}

extension MoEModel.Survey {
  /// - Parameters:
  ///   - layers: the layers to resolve; all when nil.
  ///   - faultLimit: faults of one layer that are listed.
  public init(
    _ checkpoint: Checkpoint, layers wanted: Set<Int>? = nil, registry: ArchitectureRegistry = .standard,
    faultLimit: Int = usualFaultLimit
  ) {
    self.checkpoint = checkpoint
    let isGGUF = checkpoint.catalog.ggufMetadata != nil
    let settings =
      isGGUF
      ? GGUFFamily.configuration(of: checkpoint)
      : ModelConfiguration(checkpoint.configuration, file: checkpoint.configurationPath)
    match = registry.match(settings).map { isGGUF ? $0.inGGUF() : $0 }
    configuration = match?.hasImageExperts == true ? settings.ofText() : settings
    let architecture = match ?? (isGGUF ? Architecture.unknownInGGUF : Architecture.unknown)
    self.architecture = architecture.name
    notes = checkpoint.warnings
    do throws(MoEError) {
      let layerCount = try configuration.size(ModelConfiguration.Quantity.layerCount.keys)
      let quantization = try QuantizationSettings(checkpoint)
      let stacks = resolve(wanted, below: layerCount, architecture, quantization, faultLimit: faultLimit)
      checkStacks(stacks, wanted, architecture)
      if !stacks.isEmpty {
        let lost = try lostLayers(wanted, below: match == nil ? 0 : layerCount ?? 0)
        if !lost.isEmpty {
          faults.append(MoEModel.PlacedFault(Self.lostLayers(lost, configuration, path: checkpoint.path)))
        }
        let found = outlines.map(\.index)
        let absent = (wanted ?? []).subtracting(found + lost)
        if !absent.isEmpty {
          faults.append(
            MoEModel.PlacedFault(Self.noSuchLayer(absent, (found + others).sorted(), path: checkpoint.path)))
        }
      }
    } catch {
      faults += error.faults.map { MoEModel.PlacedFault($0) }
    }
    if match == nil, let first = layers.first {
      notes.append(
        "warning: unknown architecture \(Self.identity(configuration)): its tensors follow the layout "
          + "\"\(first.experts.layoutName)\" at \(first.prefix); routing was assumed to be \(first.plan)")
    }
  }

  /// - Returns: the prefixes that MoE layers stand under.
  private mutating func resolve(
    _ wanted: Set<Int>?, below layerCount: Int?, _ architecture: Architecture, _ quantization: QuantizationSettings,
    faultLimit: Int
  ) -> Set<String> {
    var known: Set<Fault> = []
    var found: Set<String> = []
    for (stack, members) in CatalogLayer.stacks(of: checkpoint.catalog).sorted(by: { $0.key < $1.key }) {
      for (index, tensors) in members.sorted(by: { $0.key < $1.key }) where index < layerCount ?? .max {
        var resolver = LayerResolver(
          tensors: tensors, architecture: architecture, isKnown: match != nil, configuration: configuration,
          catalog: checkpoint.catalog, quantization: quantization, faultLimit: faultLimit)
        guard wanted?.contains(index) ?? true else {
          if resolver.candidates() != nil { others.append(index) }
          continue
        }
        let layer = resolver.resolve()
        if let layer { layers.append(layer) }
        if resolver.isMoE {
          found.insert(stack)
          outlines.append(
            Outline(
              index: index, prefix: tensors.prefix, expertCount: resolver.expertCount, isWhole: layer != nil))
        }
        // What is wrong with the configuration is wrong in every layer, and is told once.
        faults += resolver.faults.filter { known.insert($0.fault).inserted }
        notes += resolver.notes.filter { !notes.contains($0) }
      }
    }
    return found
  }

  private mutating func checkStacks(_ stacks: Set<String>, _ wanted: Set<Int>?, _ architecture: Architecture) {
    let path = checkpoint.path
    if stacks.count > 1 {
      let fault = Fault(
        .ambiguousLayout, "MoE layers stand under more than one prefix", file: path,
        found: stacks.sorted().joined(separator: ", "))
      faults.append(MoEModel.PlacedFault(fault))
    }
    guard stacks.isEmpty else { return }
    let fault =
      others.isEmpty
      ? Self.noLayers(architecture, isKnown: match != nil, configuration, path: path)
      : Self.noSuchLayer(wanted ?? [], others.sorted(), path: path)
    faults.append(MoEModel.PlacedFault(fault))
  }

  /// Layers that the configuration declares and that have no experts.
  private func lostLayers(_ wanted: Set<Int>?, below layerCount: Int) throws(MoEError) -> [Int] {
    let found = Set(outlines.map(\.index))
    var lost: [Int] = []
    for layer in 0..<min(layerCount, Self.layerLimit) where wanted?.contains(layer) ?? true && !found.contains(layer) {
      if try configuration.declaresMoE(layer: layer) ?? match?.hasExpertsEverywhere == true { lost.append(layer) }
    }
    return lost
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

  static func noSuchLayer(_ wanted: Set<Int>, _ layers: [Int], path: String) -> Fault {
    let names = wanted.sorted().map(String.init).joined(separator: ", ")
    return Fault(
      .invalidArgument, "layer \(names) is no MoE layer", file: path,
      expected: "one of \(layers.map(String.init).joined(separator: ", "))")
  }
}
