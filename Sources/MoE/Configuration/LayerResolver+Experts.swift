// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension LayerResolver {
  /// The transfers of a group of experts, from the one layout that its tensors follow.
  ///
  /// - Parameter shared: whether they are the shared experts.
  mutating func source(
    _ candidates: [ExpertLayout], _ specification: LayerSpecification, shared: Bool = false
  ) -> ExpertSource? {
    guard let layout = choose(candidates, specification) else { return nil }
    var specification = specification
    specification.hasBias =
      specification.hasBias
      || specification.projections.contains { tensors[layout[$0]!.name(.bias, expert: 0)] != nil }
    guard let schemes = schemes(layout, specification) else { return nil }
    // Of a family nobody knows, the rest of the block could mean anything.
    if !shared { expertRoots = isKnown || catalog.ggufMetadata != nil ? layout.roots : [block + "."] }
    let quantized = quantizedTransfers(layout, specification, schemes)
    let found = records(layout, specification, shared: shared, except: schemes)
    let types = Set(found.weights.map(\.elementType))
    if types.count > 1 && catalog.ggufMetadata == nil {
      fault(
        .typeMismatch, "the experts' weights are of more than one type", subject: tensors.prefix + layout.up.stem,
        found: types.map(\.rawValue).sorted().joined(separator: ", "))
    }
    guard let all = found.all, faults.isEmpty else { return nil }
    specification.elementType = schemes.isEmpty && types.count < 2 ? types.first ?? .bf16 : .f32
    let transfers = (0..<specification.expertCount).map { expert in
      specification.roles.flatMap { role in
        specification.projections.compactMap { projection -> Transfer? in
          if role == .weight && schemes[projection] != nil { return nil }
          let place = layout[projection]!
          return Transfer(
            expert: LogicalExpert(rawValue: expert), projection: projection, role: role,
            tensor: all[place.name(role, expert: expert)]!,
            slice: place.slice(role, expert: expert, specification.sizes(of: projection)))
        }
      }
    }
    let quantizedFormats = Set(schemes.values.map(\.name))
    let formats = quantizedFormats.union(types.map(\.rawValue)).sorted().joined(separator: "; ")
    if !schemes.isEmpty {
      note(
        "experts are stored quantised (\(quantizedFormats.sorted().joined(separator: "; "))) and decoded to 32 bits while "
          + "they load")
    }
    return ExpertSource(
      specification: specification, layoutName: layout.name, transfers: transfers, quantized: quantized,
      format: formats)
  }

  /// Every tensor of a layout, looked up once; `all` is nil when one of them is at fault.
  private mutating func records(
    _ layout: ExpertLayout, _ specification: LayerSpecification, shared: Bool,
    except schemes: [Projection: any QuantizationScheme]
  ) -> (all: [String: TensorRecord]?, weights: [TensorRecord]) {
    var records: [String: TensorRecord?] = [:]
    var weights: [TensorRecord] = []
    let isPerExpert = layout.up.expertAxis == .none
    for expert in 0..<(isPerExpert ? specification.expertCount : 1) {
      if isFull { break }
      for role in specification.roles {
        for projection in specification.projections where role != .weight || schemes[projection] == nil {
          let place = layout[projection]!
          let name = place.name(role, expert: expert)
          guard records[name] == nil else { continue }
          let owner = shared ? "shared experts'" : isPerExpert ? "expert \(expert)'s" : "experts'"
          let what = "\(owner) \(place.part == .whole ? projection.rawValue : "gate and up") \(role)"
          let record = tensor([name], what, shapes: [place.shape(role, specification.sizes(of: projection))])
          records[name] = .some(record)
          if role == .weight, let record { weights.append(record) }
        }
      }
    }
    let all = records.compactMapValues(\.self)
    return (all.count == records.count && !isFull ? all : nil, weights)
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
        return tensor.logicalShape == place.shape(.weight, specification.sizes(of: projection))
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
      note("experts are stored \(chosen.name), not \(first.name) as is this family's habit")
    }
    return fitting.first ?? first
  }

  /// The shared experts, where the configuration declares some.
  mutating func shared(_ context: LayerContext, hiddenSize: Int) -> MoEModel.SharedSource? {
    let (architecture, patterns) = (self.architecture, tensors.patterns())
    let layouts = architecture.sharedLayouts.map { $0.inBlock(block) }
    let present = layouts.filter { $0.isPresent(in: patterns, by: [.up]) }
    let declared = attempt { () throws(MoEError) in
      try layouts.isEmpty ? 0 : architecture.sharedIntermediateSize(context) ?? 0
    }
    let activation = attempt { () throws(MoEError) in
      try (architecture.sharedActivation ?? architecture.activation)(context)
    }
    let combination = attempt { () throws(MoEError) in try architecture.sharedCombination(context) }
    guard let size = declared, let activation, let combination else { return nil }
    guard size > 0 else {
      if let extra = present.first {
        fault(
          .unexpectedTensor, "the layer has shared experts, and the configuration declares none",
          subject: tensors.prefix + extra.up.stem)
      }
      return nil
    }
    let specification = LayerSpecification(
      expertCount: 1, hiddenSize: hiddenSize, intermediateSize: size, activation: activation)
    let experts = source(present.isEmpty ? [layouts[0]] : [present[0]], specification, shared: true)
    let gateName = architecture.sharedGate.flatMap { isKnown || exists([$0]) ? $0 : nil }
    // In GGUF it may be a vector.
    let gateShapes: [Shape] = [[1, hiddenSize]] + (catalog.ggufMetadata == nil ? [] : [[hiddenSize]])
    let gate = gateName.flatMap { tensor([$0], "gate of the shared experts", shapes: gateShapes) }
    return experts.map { MoEModel.SharedSource(experts: $0, gate: gate, combination: combination) }
  }

  /// The projections of a family that has them, where the configuration gives a width for its experts.
  mutating func latent(hiddenSize: Int, latentSize: Int?) -> MoEModel.LatentSource? {
    guard let names = architecture.latent, let latentSize else { return nil }
    let down = tensor([names.down], "latent projection", shapes: [[latentSize, hiddenSize]])
    let up = tensor([names.up], "latent projection", shapes: [[hiddenSize, latentSize]])
    guard let down, let up else { return nil }
    return MoEModel.LatentSource(down: down, up: up)
  }
}
