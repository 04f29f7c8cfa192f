// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// The tensors of one layer, from the same table that reads them: that of the family, or its form in GGUF.
struct SyntheticLayer {
  let architecture: Architecture
  let context: LayerContext
  let plan: RouterPlan
  let type: WeightType
  let prefix: String
  let block: String
  let hiddenSize: Int
  /// The type of everything that is not quantised.
  let elementType: ElementType

  init(
    _ architecture: Architecture, _ configuration: ModelConfiguration, layer: Int, type: WeightType
  ) throws(MoEError) {
    self.architecture = architecture
    self.type = type
    elementType = type.container == .gguf ? .f32 : type.elementType ?? .bf16
    prefix = "\(architecture.stack)\(layer)."
    block = architecture.blocks[0]
    hiddenSize = try configuration.required(.hiddenSize)
    context = LayerContext(
      configuration: configuration, layer: layer,
      expertCount: try configuration.required(.expertCount, layer: layer),
      topK: try configuration.required(.topK, layer: layer),
      intermediateSize: try configuration.required(.intermediateSize, layer: layer), hasTensor: { _ in false })
    plan = try architecture.routing(context)
    try plan.validate(expertCount: context.expertCount, topK: context.topK)
  }

  /// Ids that the gate knows.
  var idCount: Int { context.expertCount + plan.zeroExpertCount }

  func latentSize() throws(MoEError) -> Int? {
    try architecture.latent == nil ? nil : context.configuration.size("moe_latent_size")
  }

  func routedExperts() throws(MoEError) -> LayerSpecification {
    LayerSpecification(
      expertCount: context.expertCount, hiddenSize: try latentSize() ?? hiddenSize,
      intermediateSize: context.intermediateSize, activation: try architecture.activation(context),
      hasBias: architecture.hasExpertBias)
  }

  /// nil where there are none.
  func sharedExperts() throws(MoEError) -> LayerSpecification? {
    guard !architecture.sharedLayouts.isEmpty, let size = try architecture.sharedIntermediateSize(context), size > 0
    else { return nil }
    return LayerSpecification(
      expertCount: 1, hiddenSize: hiddenSize, intermediateSize: size,
      activation: try (architecture.sharedActivation ?? architecture.activation)(context))
  }

  /// Modules that look like those of experts to whoever quantises, and are not quantised.
  var gateModules: [String] {
    let names = [architecture.gateWeight[0]] + [architecture.sharedGate].compactMap(\.self)
    return names.map { name in
      let tensor = prefix + name.inBlock(block)
      return tensor.hasSuffix(".weight") ? String(tensor.dropLast(".weight".utf8.count)) : tensor
    }
  }

  /// What the layer has in safetensors.
  func units() throws(MoEError) -> [SyntheticUnit] {
    var units = try experts(architecture.routedLayout(type, in: type.container), try routedExperts())
    var gate = matrix(architecture.gateWeight[0], [idCount, hiddenSize], gain: 1.5)
    if architecture.hasImageExperts { gate.shape = [hiddenSize, idCount] }
    var tensors = [gate]
    if let name = architecture.gateBias.first { tensors.append(vector(name, [idCount], 0.1)) }
    if plan.correctionBias == .required, let name = architecture.correctionBias.first {
      tensors.append(vector(name, architecture.hasImageExperts ? [2, idCount] : [idCount], 0.1, elementType: .f32))
    }
    if case .hash = plan.kind, let name = architecture.hashTable {
      let vocabulary = try context.configuration.size("vocab_size") ?? 1 << 17
      tensors.append(vector(name, [vocabulary, context.topK], Float(context.expertCount), elementType: .i64))
    }
    for name in [architecture.gateInputScale, architecture.outputNorm].compactMap(\.self) {
      tensors.append(vector(name, [hiddenSize], 1))
    }
    if let name = architecture.perExpertScale { tensors.append(vector(name, [idCount], 1)) }
    if let names = architecture.latent, let latentSize = try latentSize() {
      tensors.append(matrix(names.down, [latentSize, hiddenSize]))
      tensors.append(matrix(names.up, [hiddenSize, latentSize]))
    }
    units += tensors.map { SyntheticUnit($0) }
    if let shared = try sharedExperts() {
      units += try experts(architecture.sharedLayouts[0], shared)
      if let name = architecture.sharedGate { units.append(SyntheticUnit(matrix(name, [1, hiddenSize]))) }
    }
    return units
  }

  private func experts(
    _ layout: ExpertLayout, _ specification: LayerSpecification
  ) throws(MoEError) -> [SyntheticUnit] {
    var units: [SyntheticUnit] = []
    var seen: Set<String> = []
    for expert in 0..<specification.expertCount {
      for role in specification.roles {
        for projection in specification.projections {
          let place = layout.inBlock(block)[projection]!
          let name = place.name(role, expert: expert)
          guard seen.insert(name).inserted else { continue }
          let sizes = specification.sizes(of: projection)
          if role == .weight, let blockType = type.ggmlType {
            units.append(SyntheticUnit(try blocks(prefix + name, blockType, place.shape(role, sizes))))
          } else if role == .weight && type.elementType == nil {
            units.append(try quantized(place, expert, sizes, architecture.scheme(type)))
          } else {
            units.append(
              SyntheticUnit(
                tensor(
                  prefix + name, elementType, place.shape(role, sizes),
                  role == .bias ? 0.1 : 1.2 / Float(sizes.columns).squareRoot())))
          }
        }
      }
    }
    return units
  }

  /// The tensors of a projection: of an expert, or of all where they share them.
  private func quantized(
    _ place: ProjectionLayout, _ expert: Int, _ sizes: ProjectionLayout.Sizes, _ scheme: any QuantizationScheme
  ) throws(MoEError) -> SyntheticUnit {
    let scheme = try place.oriented(scheme, sizes)
    let rows = place.part == .whole ? sizes.rows : 2 * sizes.rows
    let isStacked = place.expertAxis == .leading
    let declared = try place.encodedTensors(expert: expert, sizes, scheme, prefix: prefix)
    let tensors = declared.map { _, declaration in
      tensor(declaration.name, declaration.elementType, declaration.shape, 1.2 / Float(sizes.columns).squareRoot())
    }
    return SyntheticUnit(
      tensors,
      .matrices(
        scheme, roles: declared.map(\.role), experts: isStacked ? sizes.experts : 1, rows: rows,
        columns: sizes.columns), seedName: prefix + place.name(.weight, expert: expert))
  }

  /// A projection as blocks of ggml.
  private func blocks(
    _ name: String, _ blockType: GGMLType, _ shape: Shape
  ) throws(MoEError) -> SyntheticModel.Tensor {
    try blockType.checkRow(of: shape, name)
    var tensor = tensor(name, .f32, shape, 1.2 / Float(shape.dimensions.last!).squareRoot())
    tensor.blockType = blockType
    return tensor
  }

  private func matrix(_ name: String, _ shape: Shape, gain: Float = 1.2) -> SyntheticModel.Tensor {
    vector(name, shape, gain / Float(shape[1]).squareRoot())
  }

  private func vector(
    _ name: String, _ shape: Shape, _ deviation: Float, elementType: ElementType? = nil
  ) -> SyntheticModel.Tensor {
    tensor(prefix + name.inBlock(block), elementType ?? self.elementType, shape, deviation)
  }

  private func tensor(
    _ name: String, _ elementType: ElementType, _ shape: Shape, _ deviation: Float
  ) -> SyntheticModel.Tensor {
    SyntheticModel.Tensor(
      name: name, elementType: elementType, blockType: type.container == .gguf ? GGMLType(elementType) : nil,
      shape: shape, deviation: deviation)
  }
}

extension Architecture {
  /// Whether all experts of the family's own checkpoints alternate gate and up rows in one tensor (gpt-oss).
  private var isInterleaved: Bool { if case .alternate = layouts[0].up.part { true } else { false } }

  /// How a projection of the family is stored.
  func scheme(_ type: WeightType) -> any QuantizationScheme {
    type == .mxfp4 && isInterleaved ? GPTOSSMXFP4() : type.scheme
  }

  /// The family's own layout; quantised in safetensors, the experts of most families are stored one by one.
  ///
  /// - Throws: `.unsupported` for quantised experts whose rows are merged.
  func routedLayout(_ type: WeightType, in container: WeightType.Container) throws(MoEError) -> ExpertLayout {
    if type.elementType != nil || container == .gguf { return layouts[0] }
    guard let layout = layouts.first(where: { $0.up.expertAxis == .none }) ?? layouts.first,
      layout.up.expertAxis != .merged
    else {
      throw MoEError(
        .unsupported, "\(name) stores its experts' rows merged, and no quantised form of that is known",
        expected: "f32, f16, bf16 or a type of GGUF", found: "\(type)")
    }
    return layout
  }

  /// What `config.json` says about the format.
  func quantization(_ type: WeightType, ignoring modules: [String]) -> JSONValue? {
    guard type == .mxfp4 && isInterleaved else { return type.quantizationConfiguration(ignoring: modules) }
    return ["quant_method": "mxfp4", "modules_to_not_convert": .array(modules.map { .string($0) })]
  }
}
