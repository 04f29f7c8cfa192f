// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

/// Finds everything a layer needs among its tensors, and lists everything that is wrong with them.
struct LayerResolver {
  let tensors: CatalogLayer
  let architecture: Architecture
  let isKnown: Bool
  let configuration: ModelConfiguration
  let catalog: TensorCatalog

  private(set) var faults: [Fault] = []
  private(set) var notes: [String] = []
  /// Whether the layer has experts, whole or not.
  private(set) var isMoE = false
  private var block = ""
  private var consumed: Set<String> = []

  init(
    tensors: CatalogLayer, architecture: Architecture, isKnown: Bool, configuration: ModelConfiguration,
    catalog: TensorCatalog
  ) {
    self.tensors = tensors
    self.architecture = architecture
    self.isKnown = isKnown
    self.configuration = configuration
    self.catalog = catalog
  }

  /// The layer, or nil where it is dense or at fault.
  mutating func resolve() -> MoEModel.Layer? {
    let patterns = tensors.patterns()
    let found = architecture.blocks.compactMap { block -> (String, [ExpertLayout])? in
      let present = architecture.layouts.map { $0.inBlock(block) }.filter { $0.isPresent(in: patterns) }
      return present.isEmpty ? nil : (block, present)
    }
    guard let (block, candidates) = found.first else {
      reportGateWithoutExperts()
      return nil
    }
    isMoE = true
    self.block = block
    do throws(MoEError) {
      return try layer(candidates)
    } catch {
      faults += error.faults
      return nil
    }
  }

  private mutating func layer(_ candidates: [ExpertLayout]) throws(MoEError) -> MoEModel.Layer? {
    let expertCount = try configuration.required(.expertCount, layer: tensors.index)
    let topK = try configuration.required(.topK, layer: tensors.index)
    let hiddenSize = try configuration.required(.hiddenSize)
    let intermediateSize = try configuration.required(.intermediateSize, layer: tensors.index)
    let latentSize = try architecture.latent == nil ? nil : configuration.integer("moe_latent_size")
    let names = Set(tensors.tensors.keys)
    let context = LayerContext(
      configuration: configuration, layer: tensors.index, expertCount: expertCount, topK: topK,
      intermediateSize: intermediateSize,
      hasTensor: { [block] in names.contains($0.replacing("{b}", with: block)) })
    let plan = try architecture.routing(context)
    let idCount = expertCount + plan.zeroExpertCount
    try validateTopK(topK, of: idCount)

    let experts = source(
      candidates,
      LayerSpecification(
        expertCount: expertCount, hiddenSize: latentSize ?? hiddenSize, intermediateSize: intermediateSize,
        activation: try architecture.activation(context), hasBias: architecture.hasExpertBias,
        weightOnInput: plan.weightOnInput))
    let gate = gate(plan, idCount: idCount, topK: topK, hiddenSize: hiddenSize)
    let shared = try shared(context, hiddenSize: hiddenSize)
    let latent = latent(hiddenSize: hiddenSize, latentSize: latentSize)
    let outputNorm = try norm(architecture.outputNorm, "output norm", width: hiddenSize)
    let inputScale = try norm(architecture.gateInputScale, "scale of the gate's input", width: hiddenSize)
    reportUnexpected(candidates, expertCount: expertCount)
    guard faults.isEmpty, let experts, let gate else { return nil }
    return MoEModel.Layer(
      index: tensors.index, prefix: tensors.prefix, hiddenSize: hiddenSize, topK: topK, plan: plan, experts: experts,
      gate: MoEModel.GateSource(
        weight: gate.weight, bias: gate.bias, correctionBias: gate.correctionBias, hashTable: gate.hashTable,
        inputScale: inputScale, perExpertScale: gate.perExpertScale),
      shared: shared, latent: latent, outputNorm: outputNorm,
      residualMultiplier: try configuration.number("residual_multiplier") ?? 1)
  }
}

// MARK: - Experts

extension LayerResolver {
  /// The transfers of a group of experts, from the one layout that its tensors follow.
  private mutating func source(
    _ candidates: [ExpertLayout], _ specification: LayerSpecification
  ) -> ExpertSource? {
    guard let layout = choose(candidates, specification) else { return nil }
    var specification = specification
    let roles: [TensorRole] = [.weight, .bias]
    specification.hasBias =
      specification.hasBias
      || specification.projections.contains { tensors[layout[$0]!.name(.bias, expert: 0)] != nil }
    var transfers: [[Transfer]] = []
    for expert in 0..<specification.expertCount {
      var ofExpert: [Transfer] = []
      for role in roles where role == .weight || specification.hasBias {
        for projection in specification.projections {
          let place = layout[projection]!
          let sizes = specification.sizes(of: projection)
          let name = place.name(role, expert: expert)
          guard let tensor = tensor([name], "expert \(expert) \(projection) \(role)", shapes: [place.shape(role, sizes)])
          else { continue }
          ofExpert.append(
            Transfer(
              expert: LogicalExpert(rawValue: expert), projection: projection, role: role, tensor: tensor,
              slice: place.slice(role, expert: expert, sizes)))
        }
      }
      transfers.append(ofExpert)
    }
    let types = Set(transfers.joined().filter { $0.role == .weight }.map(\.tensor.elementType))
    if types.count > 1 {
      fault(
        .typeMismatch, "the experts' weights are of more than one type", subject: tensors.prefix + block,
        found: types.map(\.rawValue).sorted().joined(separator: ", "))
    }
    specification.elementType = types.first ?? .bf16
    return ExpertSource(specification: specification, layoutName: layout.name, transfers: transfers)
  }

  /// The layout of the candidates whose shapes fit; reports when there is none, or more than one place for a tensor.
  private mutating func choose(_ candidates: [ExpertLayout], _ specification: LayerSpecification) -> ExpertLayout? {
    let stems = Set(candidates.map(\.up.stem))
    guard stems.count == 1 else {
      fault(
        .duplicateParameter, "the experts are stored more than once", subject: tensors.prefix + block,
        found: candidates.map { "\($0.name) (\($0.up.stem))" }.joined(separator: " and "),
        remedy: "remove one of the two")
      return nil
    }
    let complete = candidates.filter { specification.activation.isGated == ($0.gate != nil) }
    guard let first = complete.first else {
      fault(
        .configuration, "the activation and the tensors disagree about the gate", subject: tensors.prefix + block,
        expected: specification.activation.description, found: candidates[0].name)
      return nil
    }
    let fitting = complete.filter { layout in
      specification.projections.allSatisfy { projection in
        let place = layout[projection]!
        guard let tensor = tensors[place.name(.weight, expert: 0)] else { return true }
        return tensor.shape == place.shape(.weight, specification.sizes(of: projection))
      }
    }
    let (hidden, intermediate) = (specification.hiddenSize, specification.intermediateSize)
    if !isKnown, first.up.expertAxis == .leading, first.isFused, hidden == 2 * intermediate || hidden == intermediate {
      fault(
        .ambiguousLayout, "the orientation of fused experts can't be told from their shape",
        subject: tensors.prefix + first.up.stem,
        found: "hidden size \(hidden) and intermediate size \(intermediate), of an unknown architecture",
        remedy: "register an Architecture that declares the layout")
      return nil
    }
    if let chosen = fitting.first, isKnown, chosen != first {
      notes.append("experts are stored \(chosen.name), not \(first.name) as is this family's habit")
    }
    return fitting.first ?? first
  }

  private mutating func shared(_ context: LayerContext, hiddenSize: Int) throws(MoEError) -> MoEModel.SharedSource? {
    let patterns = tensors.patterns()
    let layouts = architecture.sharedLayouts.map { $0.inBlock(block) }
    let present = layouts.filter { patterns.contains($0.up.name(.weight, expert: 0)) }
    let size = layouts.isEmpty ? 0 : try architecture.sharedIntermediateSize(context) ?? 0
    guard size > 0 else {
      if let extra = present.first {
        fault(
          .unexpectedTensor, "the layer has shared experts, and the configuration declares none",
          subject: tensors.prefix + extra.up.stem)
      }
      return nil
    }
    // An unknown family is taken by its tensors; a known one must have what its configuration declares.
    guard isKnown || !present.isEmpty else { return nil }
    let activation = try (architecture.sharedActivation ?? architecture.activation)(context)
    let specification = LayerSpecification(
      expertCount: 1, hiddenSize: hiddenSize, intermediateSize: size, activation: activation)
    guard let experts = source(present.isEmpty ? [layouts[0]] : [present[0]], specification) else { return nil }
    let gate = architecture.sharedGate.flatMap { tensor([$0], "gate of the shared experts", shapes: [[1, hiddenSize]]) }
    return MoEModel.SharedSource(
      experts: experts, gate: gate, combination: try architecture.sharedCombination(context))
  }

  private mutating func latent(hiddenSize: Int, latentSize: Int?) -> MoEModel.LatentSource? {
    guard let names = architecture.latent, let latentSize,
      let down = tensor([names.down], "latent projection", shapes: [[latentSize, hiddenSize]]),
      let up = tensor([names.up], "latent projection", shapes: [[hiddenSize, latentSize]])
    else { return nil }
    return MoEModel.LatentSource(down: down, up: up)
  }
}

// MARK: - Gate

extension LayerResolver {
  private mutating func gate(
    _ plan: RouterPlan, idCount: Int, topK: Int, hiddenSize: Int
  ) -> MoEModel.GateSource? {
    let weight = tensor(architecture.gateWeight, "gate", shapes: [[idCount, hiddenSize]])
    let bias = architecture.gateBias.isEmpty || !(isKnown || exists(architecture.gateBias))
      ? nil : tensor(architecture.gateBias, "gate bias", shapes: [[idCount]])
    let correction = plan.correctionBias == .none
      ? nil : tensor(architecture.correctionBias, "correction bias", shapes: [[idCount], [1, idCount]])
    var table: TensorRecord?
    if case .hash = plan.kind, let name = architecture.hashTable {
      table = tensor([name], "routing table", shapes: nil, isInteger: true)
      if let found = table, found.shape.rank != 2 || found.shape[1] != topK {
        fault(
          .shapeMismatch, "routing table has another shape than the configuration declares", tensor: found,
          expected: "[vocabulary, \(topK)]", found: "\(found.shape)")
      }
    }
    let scale = architecture.perExpertScale.flatMap { tensor([$0], "per-expert scale", shapes: [[idCount]]) }
    return weight.map {
      MoEModel.GateSource(
        weight: $0, bias: bias, correctionBias: correction, hashTable: table, inputScale: nil, perExpertScale: scale)
    }
  }

  private mutating func norm(_ name: String?, _ what: String, width: Int) throws(MoEError) -> MoEModel.NormSource? {
    guard let name, let scale = tensor([name], what, shapes: [[width]]) else { return nil }
    let epsilon = try configuration.number("rms_norm_eps", "layer_norm_epsilon") ?? 1e-6
    return MoEModel.NormSource(scale: scale, epsilon: epsilon)
  }

  private func exists(_ names: [String]) -> Bool {
    names.contains { tensors[$0.replacing("{b}", with: block)] != nil }
  }

  /// A layer that routes but has nothing to route to.
  private mutating func reportGateWithoutExperts() {
    guard isKnown else { return }
    for block in architecture.blocks {
      for name in architecture.gateWeight.map({ $0.replacing("{b}", with: block) }) where tensors[name] != nil {
        isMoE = true
        fault(
          .missingTensor, "the layer has a gate but no experts", subject: tensors.prefix + name,
          expected: architecture.layouts.map { tensors.prefix + $0.inBlock(block).up.stem }.joined(separator: " or "))
        return
      }
    }
  }
}

// MARK: - Tensors

extension LayerResolver {
  /// The first of `names` that exists, checked against the shapes that are allowed.
  private mutating func tensor(
    _ names: [String], _ what: String, shapes: [Shape]?, isInteger: Bool = false
  ) -> TensorRecord? {
    let names = names.map { $0.replacing("{b}", with: block) }
    guard let name = names.first(where: { tensors[$0] != nil }), let tensor = tensors[name] else {
      fault(
        .missingTensor, "\(what) is missing", subject: tensors.prefix + names[0],
        expected: names.count > 1 ? "one of " + names.joined(separator: ", ") : shapes.map { "\($0[0])" },
        remedy: quantizedHint(names[0]))
      return nil
    }
    consumed.insert(name)
    if let shapes, !shapes.contains(tensor.shape) {
      fault(
        .shapeMismatch, "\(what) has another shape than the configuration declares", tensor: tensor,
        expected: shapes.map(\.description).joined(separator: " or "), found: "\(tensor.shape)")
      return nil
    }
    let allowed: [ElementType] = isInteger ? [.i64, .i32] : [.bf16, .f16, .f32]
    guard allowed.contains(tensor.elementType) else {
      fault(
        .typeMismatch, "\(what) is of a type that can't be used here", tensor: tensor,
        expected: allowed.map(\.rawValue).joined(separator: ", "), found: tensor.elementType.rawValue,
        remedy: isInteger ? nil : "quantised experts are not read by this version")
      return nil
    }
    return tensor
  }

  /// Says so when a weight is missing because it is quantised.
  private func quantizedHint(_ name: String) -> String? {
    let stem = name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
    let endings = [".weight_packed", ".qweight", "_blocks", ".weight.absmax", "_scale_inv"]
    return endings.contains { tensors[stem + $0] != nil } ? "quantised experts are not read by this version" : nil
  }

  /// Tensors among the experts that no projection asked for.
  private mutating func reportUnexpected(_ candidates: [ExpertLayout], expertCount: Int) {
    let roots = Set(
      candidates.flatMap { layout in
        Projection.allCases.compactMap { layout[$0]?.stem }.compactMap { stem in
          stem.firstRange(of: "experts.").map { String(stem[..<$0.upperBound]) }
        }
      })
    guard faults.isEmpty else { return }
    for name in tensors.tensors.keys.sorted()
    where !consumed.contains(name) && roots.contains(where: name.hasPrefix) {
      fault(
        .unexpectedTensor, "nothing uses this tensor among the experts", tensor: tensors[name]!,
        expected: "experts 0..<\(expertCount)")
    }
  }

  private mutating func fault(
    _ code: Fault.Code, _ message: String, subject: String? = nil, tensor: TensorRecord? = nil,
    expected: String? = nil, found: String? = nil, remedy: String? = nil
  ) {
    faults.append(
      Fault(
        code, message, file: tensor.map { catalog.path(of: $0) } ?? catalog.path, subject: tensor?.name ?? subject,
        expected: expected, found: found, remedy: remedy))
  }
}

extension ExpertLayout {
  /// The layout with `{b}` replaced.
  func inBlock(_ block: String) -> Self {
    func substitute(_ place: ProjectionLayout) -> ProjectionLayout {
      var place = place
      place.stem = place.stem.replacing("{b}", with: block)
      return place
    }
    return Self(name: name, gate: gate.map(substitute), up: substitute(up), down: substitute(down))
  }

  /// Whether any tensor of the layout is there, of any ending.
  func isPresent(in patterns: Set<String>) -> Bool {
    let stems = [gate, up, down].compactMap { $0?.stem }
    return patterns.contains { name in
      stems.contains { stem in
        guard name.hasPrefix(stem) else { return false }
        let next = name.dropFirst(stem.count).first
        return next == nil || next == "." || next == "_"
      }
    }
  }
}

extension LayerSpecification {
  func sizes(of projection: Projection) -> ProjectionLayout.Sizes {
    let size = size(of: projection)
    return ProjectionLayout.Sizes(experts: expertCount, rows: size.rows, columns: size.columns)
  }
}
