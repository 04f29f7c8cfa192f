// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// Finds everything a layer needs among its tensors, and lists everything that is wrong with them.
struct LayerResolver {
  let tensors: CatalogLayer
  /// See ``CatalogLayer/patterns()``.
  let patterns: Set<String>
  let architecture: Architecture
  let isKnown: Bool
  let configuration: ModelConfiguration
  let catalog: TensorCatalog
  let quantization: QuantizationSettings

  private(set) var faults: [MoEModel.PlacedFault] = []
  private(set) var notes: [String] = []
  /// Whether the layer has experts, whole or not.
  var isMoE = false
  var block = ""
  private(set) var expertCount: Int?
  /// What is being resolved, for faults.
  var place: MoEModel.Place
  /// The names that were asked for.
  var consumed: Set<String> = []
  /// What the names of tensors begin with that must all be asked for: those of routed experts.
  var expertRoots: Set<String> = []

  /// Faults of one layer that are listed.
  let faultLimit: Int

  init(
    tensors: CatalogLayer, architecture: Architecture, isKnown: Bool, configuration: ModelConfiguration,
    catalog: TensorCatalog, quantization: QuantizationSettings, faultLimit: Int
  ) {
    self.tensors = tensors
    patterns = tensors.patterns()
    self.architecture = architecture
    self.isKnown = isKnown
    self.configuration = configuration
    self.catalog = catalog
    self.quantization = quantization
    self.faultLimit = faultLimit
    place = MoEModel.Place(layer: tensors.index)
  }

  /// The block that has experts, and the layouts that some of their tensors follow.
  func candidates() -> (block: String, layouts: [ExpertLayout])? {
    for block in architecture.blocks {
      let layouts = architecture.layouts.map { $0.inBlock(block) }
      let present = layouts.filter { $0.isPresent(in: patterns) }
      // Two layouts may have the same tensor for down.
      let distinct = present.filter { $0.isPresent(in: patterns, by: [.gate, .up]) }
      if !present.isEmpty { return (block, distinct.isEmpty ? present : distinct) }
    }
    return nil
  }

  /// The layer, or nil where it is dense or at fault.
  mutating func resolve() -> MoEModel.Layer? {
    guard let (block, candidates) = candidates() else {
      reportGateWithoutExperts()
      return nil
    }
    isMoE = true
    self.block = block
    return layer(candidates)
  }

  /// Goes on after a fault as far as it can, so that all of them are listed.
  private mutating func layer(_ candidates: [ExpertLayout]) -> MoEModel.Layer? {
    guard let context = context() else { return nil }
    let (configuration, architecture, hiddenSize) = (self.configuration, self.architecture, context.hiddenSize)
    let plan = attempt { () throws(MoEError) in
      let plan = try architecture.routing(context.layer)
      try plan.validate(expertCount: context.layer.expertCount, topK: context.layer.topK)
      return plan
    }
    var latentSize: Int?
    let specification = attempt { () throws(MoEError) in
      latentSize = try architecture.latent == nil ? nil : configuration.size("moe_latent_size")
      return LayerSpecification(
        expertCount: context.layer.expertCount, hiddenSize: latentSize ?? hiddenSize,
        intermediateSize: context.layer.intermediateSize, activation: try architecture.activation(context.layer),
        hasBias: architecture.hasExpertBias, weightOnInput: plan?.weightOnInput ?? false)
    }
    let experts = specification.flatMap { source(candidates, $0) }
    let shared = shared(context.layer, hiddenSize: hiddenSize)
    let latent = latent(hiddenSize: hiddenSize, latentSize: latentSize)
    let outputNorm = norm(architecture.outputNorm, "output norm", width: hiddenSize)
    let residualMultiplier = attempt { () throws(MoEError) in try configuration.number("residual_multiplier") ?? 1 }
    guard let plan else { return nil }
    let gate = gate(plan, context.layer, hiddenSize: hiddenSize)
    reportUnexpected(expertCount: context.layer.expertCount)
    guard faults.isEmpty, let experts, let gate, let residualMultiplier else { return nil }
    return MoEModel.Layer(
      index: tensors.index, prefix: tensors.prefix, block: block, hiddenSize: hiddenSize, topK: context.layer.topK,
      plan: plan,
      experts: experts, gate: gate, shared: shared, latent: latent, outputNorm: outputNorm,
      residualMultiplier: residualMultiplier)
  }

  /// The sizes that the configuration must give.
  private mutating func context() -> (layer: LayerContext, hiddenSize: Int)? {
    let (configuration, index, block) = (self.configuration, tensors.index, self.block)
    func size(_ quantity: ModelConfiguration.Quantity) -> Int? {
      attempt { () throws(MoEError) in try configuration.required(quantity, layer: index) }
    }
    let expertCount = size(.expertCount)
    self.expertCount = expertCount
    let topK = size(.topK)
    let hiddenSize = size(.hiddenSize)
    let intermediateSize = size(.intermediateSize)
    guard let expertCount, let topK, let hiddenSize, let intermediateSize else { return nil }
    let tensors = self.tensors
    let layer = LayerContext(
      configuration: configuration, layer: index, expertCount: expertCount, topK: topK,
      intermediateSize: intermediateSize,
      hasTensor: { tensors[$0.inBlock(block)] != nil })
    return (layer, hiddenSize)
  }
}

// MARK: - Faults

extension LayerResolver {
  /// The result of `body`, or nil with its faults noted.
  mutating func attempt<Result>(_ body: () throws(MoEError) -> Result) -> Result? {
    do throws(MoEError) {
      return try body()
    } catch {
      for var fault in error.faults {
        fault.file = fault.file ?? configuration.file
        faults.append(MoEModel.PlacedFault(fault, at: place))
      }
      return nil
    }
  }

  mutating func fault(
    _ code: Fault.Code, _ message: String, subject: String? = nil, tensor: TensorRecord? = nil,
    expected: String? = nil, found: String? = nil, remedy: String? = nil
  ) {
    guard !isFull else { return }
    let isLast = faults.count == faultLimit - 1
    let fault = Fault(
      code, isLast ? message + " (and what follows is not listed)" : message,
      file: tensor.map { catalog.path(of: $0) } ?? catalog.path, subject: tensor?.name ?? subject, expected: expected,
      found: found, remedy: remedy)
    faults.append(MoEModel.PlacedFault(fault, at: place))
  }

  var isFull: Bool { faults.count >= faultLimit }

  mutating func note(_ text: String) { notes.append(text) }
}
