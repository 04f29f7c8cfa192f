// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
public import Tensors

/// A checkpoint of a model's exact shapes and names, with random weights: only what its MoE blocks need.
///
/// ```swift
/// let model = try SyntheticModel(ModelPreset(named: "Granite-3-1B-A400M")!, layerCount: 2)
/// try model.write(to: "granite", seed: 1)
/// ```
public struct SyntheticModel: Sendable {
  /// A tensor to be made.
  public struct Tensor: Sendable, Hashable {
    public var name: String
    public var elementType: ElementType
    public var shape: Shape
    /// Values are uniform, of this standard deviation; those of an integer type are uniform below it.
    public var deviation: Float

    public var byteCount: Int { elementType.byteCount(of: shape.elementCount!)! }
  }

  /// The `config.json`.
  public let configuration: [String: JSONValue]
  public let tensors: [Tensor]

  /// - Parameters:
  ///   - layerCount: MoE layers, the preset's own number when nil; dense layers before them keep their numbers.
  ///   - expertCount: routed experts, the preset's own number when nil.
  ///   - elementType: F32, F16 or BF16.
  /// - Throws: `configuration` when the numbers make no model, `unsupported` for another type.
  public init(
    _ preset: ModelPreset, layerCount: Int? = nil, expertCount: Int? = nil, elementType: ElementType = .bf16,
    registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    try self.init(
      configuration: preset.configuration, layerCount: layerCount, expertCount: expertCount,
      elementType: elementType, registry: registry)
  }

  /// A model of any configuration whose architecture is known.
  public init(
    configuration: [String: JSONValue], layerCount: Int? = nil, expertCount: Int? = nil,
    elementType: ElementType = .bf16, registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    guard [.bf16, .f16, .f32].contains(elementType) else {
      throw MoEError(
        .unsupported, "synthetic weights of type \(elementType) are not written by this version",
        expected: "f32, f16 or bf16")
    }
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
    configuration["torch_dtype"] = .string(["F32": "float32", "F16": "float16"][elementType.rawValue] ?? "bfloat16")
    self.configuration = configuration
    let final = ModelConfiguration(.object(configuration), file: "config.json")
    var tensors: [Tensor] = []
    for layer in layers {
      tensors += try SyntheticLayer(architecture, final, layer: layer, elementType: elementType).tensors()
    }
    self.tensors = tensors
  }

  public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }
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

/// The tensors of one layer, from the same table that reads them.
private struct SyntheticLayer {
  let architecture: Architecture
  let context: LayerContext
  let prefix: String
  let block: String
  let hiddenSize: Int
  let elementType: ElementType

  init(
    _ architecture: Architecture, _ configuration: ModelConfiguration, layer: Int, elementType: ElementType
  ) throws(MoEError) {
    self.architecture = architecture
    self.elementType = elementType
    prefix = "\(architecture.stack)\(layer)."
    block = architecture.blocks[0]
    hiddenSize = try configuration.required(.hiddenSize)
    context = LayerContext(
      configuration: configuration, layer: layer,
      expertCount: try configuration.required(.expertCount, layer: layer),
      topK: try configuration.required(.topK, layer: layer),
      intermediateSize: try configuration.required(.intermediateSize, layer: layer), hasTensor: { _ in false })
  }

  func tensors() throws(MoEError) -> [SyntheticModel.Tensor] {
    let plan = try architecture.routing(context)
    let idCount = context.expertCount + plan.zeroExpertCount
    try plan.validate(expertCount: context.expertCount, topK: context.topK)
    let latentSize = try architecture.latent == nil ? nil : context.configuration.size("moe_latent_size")
    var tensors = experts(
      architecture.layouts[0],
      LayerSpecification(
        expertCount: context.expertCount, hiddenSize: latentSize ?? hiddenSize,
        intermediateSize: context.intermediateSize, activation: try architecture.activation(context),
        hasBias: architecture.hasExpertBias))
    tensors.append(matrix(architecture.gateWeight[0], [idCount, hiddenSize], gain: 1.5))
    if let name = architecture.gateBias.first { tensors.append(vector(name, [idCount], 0.1)) }
    if plan.correctionBias == .required, let name = architecture.correctionBias.first {
      tensors.append(vector(name, [idCount], 0.1, elementType: .f32))
    }
    if case .hash = plan.kind, let name = architecture.hashTable {
      let vocabulary = try context.configuration.size("vocab_size") ?? 1 << 17
      tensors.append(vector(name, [vocabulary, context.topK], Float(context.expertCount), elementType: .i64))
    }
    for name in [architecture.gateInputScale, architecture.outputNorm].compactMap(\.self) {
      tensors.append(vector(name, [hiddenSize], 1))
    }
    if let name = architecture.perExpertScale { tensors.append(vector(name, [idCount], 1)) }
    if let names = architecture.latent, let latentSize {
      tensors.append(matrix(names.down, [latentSize, hiddenSize]))
      tensors.append(matrix(names.up, [hiddenSize, latentSize]))
    }
    if let layout = architecture.sharedLayouts.first, let size = try architecture.sharedIntermediateSize(context),
      size > 0
    {
      let activation = try (architecture.sharedActivation ?? architecture.activation)(context)
      tensors += experts(
        layout,
        LayerSpecification(
          expertCount: 1, hiddenSize: hiddenSize, intermediateSize: size, activation: activation))
      if let name = architecture.sharedGate { tensors.append(matrix(name, [1, hiddenSize])) }
    }
    return tensors
  }

  private func experts(_ layout: ExpertLayout, _ specification: LayerSpecification) -> [SyntheticModel.Tensor] {
    var tensors: [SyntheticModel.Tensor] = []
    var seen: Set<String> = []
    for expert in 0..<specification.expertCount {
      for role in specification.roles {
        for projection in specification.projections {
          let place = layout.inBlock(block)[projection]!
          let name = place.name(role, expert: expert)
          guard seen.insert(name).inserted else { continue }
          let sizes = specification.sizes(of: projection)
          let deviation = role == .bias ? 0.1 : 1.2 / Float(sizes.columns).squareRoot()
          tensors.append(
            SyntheticModel.Tensor(
              name: prefix + name, elementType: elementType, shape: place.shape(role, sizes), deviation: deviation))
        }
      }
    }
    return tensors
  }

  private func matrix(_ name: String, _ shape: Shape, gain: Float = 1.2) -> SyntheticModel.Tensor {
    vector(name, shape, gain / Float(shape[1]).squareRoot())
  }

  private func vector(
    _ name: String, _ shape: Shape, _ deviation: Float, elementType: ElementType? = nil
  ) -> SyntheticModel.Tensor {
    SyntheticModel.Tensor(
      name: prefix + name.inBlock(block), elementType: elementType ?? self.elementType, shape: shape,
      deviation: deviation)
  }
}
