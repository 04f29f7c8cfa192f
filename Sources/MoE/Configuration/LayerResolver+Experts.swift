// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension LayerResolver {
  /// The matrices of a group of experts, from the one layout that their tensors follow.
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
    let matrices = layout.matrices(of: specification.projections)
    var schemes: [any QuantizationScheme] = []
    for (place, parts) in matrices {
      guard let scheme = scheme(place, specification.sizes(of: parts[0].projection)) else { return nil }
      schemes.append(scheme)
    }
    // Of a family nobody knows, the rest of the block could mean anything.
    if !shared { expertRoots = isKnown || catalog.ggufMetadata != nil ? layout.roots : [block + "."] }
    var stacked: [String: MatrixSource] = [:]
    var experts: [[MatrixSource]] = []
    defer { self.place = MoEModel.Place(layer: tensors.index) }
    for expert in 0..<specification.expertCount {
      if isFull { return nil }
      var own: [MatrixSource] = []
      for ((place, parts), scheme) in zip(matrices, schemes) {
        let name =
          "\(shared ? "shared experts'" : place.expertAxis == .none ? "expert \(expert)'s" : "experts'") "
          + (parts.count == 1 ? parts[0].projection.rawValue : "gate and up")
        self.place = MoEModel.Place(
          layer: tensors.index, isShared: shared, expert: shared || place.expertAxis != .none ? nil : expert,
          projections: parts.map(\.projection))
        var matrix = stacked[place.stem] ?? matrix(name, place, expert, scheme, specification, parts)
        if place.expertAxis != .none {
          stacked[place.stem] = matrix
          matrix.move(to: expert)
        }
        own.append(matrix)
      }
      experts.append(own)
    }
    self.place = MoEModel.Place(layer: tensors.index, isShared: shared)
    reportMixedTypes(experts)
    reportPartial(experts, shared: shared)
    guard faults.isEmpty else { return nil }
    let source = ExpertSource(specification: specification, layoutName: layout.name, experts: experts)
    return source
  }

  /// Projections may be of different types, experts may not.
  private mutating func reportMixedTypes(_ experts: [[MatrixSource]]) {
    for index in experts[0].indices {
      let types = Set(experts.compactMap { $0[index][.weight] == nil ? nil : $0[index].denseType })
      guard types.count > 1 else { continue }
      fault(
        .typeMismatch, "the experts' weights are of more than one type", subject: experts[0][index].stem,
        expected: "one type for all experts of a projection",
        found: types.map(\.rawValue).sorted().joined(separator: ", "))
    }
  }

  /// A tensor that a format can do without is there for all experts or for none.
  private mutating func reportPartial(_ experts: [[MatrixSource]], shared: Bool) {
    defer { place = MoEModel.Place(layer: tensors.index) }
    for index in experts[0].indices {
      let optional = experts[0][index].scheme.tensors.filter { !$0.isRequired }
      for declared in optional where !isFull {
        let present = experts.first { $0[index][declared.role] != nil }?[index][declared.role]
        guard let present else { continue }
        for matrix in experts.map({ $0[index] }) where matrix[declared.role] == nil {
          place = MoEModel.Place(
            layer: tensors.index, isShared: shared, expert: shared ? nil : matrix.expert.rawValue,
            projections: matrix.parts.map(\.projection))
          fault(
            .missingTensor, "\(matrix.scheme.name): other experts have the \(declared.role), and this one has not",
            subject: matrix.stem + declared.suffixes[0], expected: "as \(present.tensor.name)")
        }
      }
    }
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
    let architecture = self.architecture
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
