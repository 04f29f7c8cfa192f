// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import Tensors

extension CheckpointConversion {
  /// From one container to the other: every tensor by its name there.
  ///
  /// - Parameter leavesOthers: leaves out tensors without a name instead of refusing.
  static func moved(
    _ model: MoEModel, _ own: Architecture, _ type: WeightType, _ container: WeightType.Container, _ layers: Set<Int>?,
    leavesOthers: Bool
  ) throws(MoEError) -> Parts {
    let isToGGUF = container == .gguf
    guard let family = GGUFFamily.named(model.configuration) else { throw own.unnamedInGGUF }
    let target = isToGGUF ? own.inGGUF() : own
    var parts = Parts()
    var consumed: Set<String> = []
    for layer in model.layers {
      let (prefix, block) = ("\(target.stack)\(layer.index).", target.blocks[0])
      let isConverted = layers?.contains(layer.index) ?? true
      let routedType = isConverted ? type : try plainType(of: layer)
      parts.experts += ConvertedExpert.all(
        of: layer.experts,
        try ConvertedMatrix.all(
          of: layer.experts, prefix: prefix, target.routedLayout(routedType, in: container).inBlock(block),
          routedType.form(in: container, target), biasType: isToGGUF ? .f32 : nil))
      if let shared = layer.shared {
        let plain = shared.experts.experts[0][0].denseType
        parts.experts += ConvertedExpert.all(
          of: shared.experts,
          try ConvertedMatrix.all(
            of: shared.experts, prefix: prefix, target.sharedLayouts[0].inBlock(block), .plain(plain ?? .f32)))
        if plain == nil { parts.notes.append("shared experts (\(shared.experts.format)) are decoded to F32") }
      }
      for (record, name, shape) in layer.gateTensors(in: target) {
        var output = OutputTensor(record, name: prefix + name.inBlock(block))
        output.shape = shape ?? output.shape
        parts.carried.append(CarriedTensor(record, as: isToGGUF ? output.floating : output))
      }
      consumed.formUnion(layer.records.map(\.name))
    }
    try moveOthers(model, family, own.stack, isToGGUF: isToGGUF, consumed, &parts, leavesOthers: leavesOthers)
    parts.notes = parts.notes.reduce(into: []) { notes, note in if !notes.contains(note) { notes.append(note) } }
    return parts
  }

  /// What is no part of an MoE block.
  private static func moveOthers(
    _ model: MoEModel, _ family: GGUFFamily, _ stack: String, isToGGUF: Bool, _ consumed: Set<String>,
    _ parts: inout Parts, leavesOthers: Bool
  ) throws(MoEError) {
    let rename = family.others?.renaming(isToGGUF: isToGGUF, stack: stack)
    var lost: [TensorRecord] = []
    var decoded = 0
    for record in model.checkpoint.catalog.records where !consumed.contains(record.name) {
      let isPlain = [.bf16, .f16, .f32].contains(record.elementType)
      guard isPlain || record.ggmlType != nil, let renamed = rename?(record.name) else {
        lost.append(record)
        continue
      }
      var output = OutputTensor(record, name: renamed.name)
      // ggml computes with norms and biases in 32 bits.
      if record.ggmlType != nil || isToGGUF && record.shape.rank < 2 { output = output.floating }
      if record.ggmlType != nil { decoded += 1 }
      let heads = try renamed.heads.map { (key) throws(MoEError) in
        try headRows(of: record, key, model.configuration, isToGGUF: isToGGUF)
      }
      parts.carried.append(CarriedTensor(record, as: output, heads: heads))
    }
    if decoded > 0 {
      parts.notes.append("\(decoded) tensors beside the experts are decoded to F32: safetensors has no blocks of ggml")
    }
    parts.lost = lost.count
    guard !lost.isEmpty, !leavesOthers else { return }
    let names = Set(lost.map { CatalogLayer.pattern(of: $0.name) }).sorted()
    throw MoEError(
      .unsupported, "\(lost.count) tensors have no name in \(isToGGUF ? "GGUF" : "the family's safetensors")",
      file: model.checkpoint.path,
      expected: family.others == nil
        ? "a family whose tensors beside the experts are known, such as Mixtral, Qwen3-MoE or DeepSeek-V3"
        : "plain tensors that \(isToGGUF ? "llama.cpp" : model.architecture) has",
      found: names.joined(separator: ", "),
      remedy: "--experts-only writes the MoE blocks alone; or stay in the container that the model is in")
  }

  private static func headRows(
    of record: TensorRecord, _ key: String, _ configuration: ModelConfiguration, isToGGUF: Bool
  ) throws(MoEError) -> CarriedTensor.HeadRows {
    let rows = record.shape[0]
    let heads = try configuration.size([key, "num_attention_heads"]) ?? 0
    guard heads > 0, rows % (2 * heads) == 0 else {
      throw MoEError(
        .configuration, "the rows of \(record.name) are no whole number of heads", file: configuration.file,
        subject: configuration.shown(key), expected: "a number whose double divides \(rows)", found: "\(heads)")
    }
    return CarriedTensor.HeadRows(heads: heads, isToGGUF: isToGGUF)
  }

  /// The type of experts that keep it.
  private static func plainType(of layer: MoEModel.Layer) throws(MoEError) -> WeightType {
    let types: [ElementType: WeightType] = [.bf16: .bf16, .f16: .f16, .f32: .f32]
    let specification = layer.specification
    if specification.codes.isEmpty, let type = types[specification.elementType] { return type }
    throw MoEError(
      .unsupported, "the experts of layer \(layer.index) can't keep their format in the other container",
      subject: "--layers", expected: "experts that are not quantised", found: layer.experts.format,
      remedy: "convert all layers")
  }
}

extension OutputTensor {
  /// The tensor in 32-bit floats, where it is of a floating-point type.
  fileprivate var floating: Self {
    guard blockType != nil || [.bf16, .f16, .f32].contains(elementType) else { return self }
    return OutputTensor(name, ElementType.f32, shape)
  }
}

extension MoEModel.Layer {
  /// Every tensor of the MoE block.
  var records: [TensorRecord] {
    let experts = (self.experts.experts + (shared?.experts.experts ?? [])).joined()
    return experts.flatMap { $0.pieces.map(\.tensor) } + gateRecords
  }

  private var gateRecords: [TensorRecord] {
    [
      gate.weight, gate.bias, gate.correctionBias, gate.hashTable, gate.inputScale?.scale, gate.perExpertScale,
      gate.images?.bias, shared?.gate, latent?.down, latent?.up, outputNorm?.scale,
    ].compactMap(\.self)
  }

  /// The tensors beside the matrices of experts, with their names and, where it is another one, their shapes in an
  /// architecture.
  func gateTensors(in target: Architecture) -> [(record: TensorRecord, name: String, shape: Shape?)] {
    let all: [(TensorRecord?, String?, Shape?)] = [
      (gate.weight, target.gateWeight.first, nil),
      (gate.bias, target.gateBias.first, nil),
      (gate.correctionBias, target.correctionBias.first, nil),
      (gate.hashTable, target.hashTable, nil),
      (gate.inputScale?.scale, target.gateInputScale, nil),
      (gate.perExpertScale, target.perExpertScale, nil),
      (gate.images?.bias, target.imageBias, nil),
      (shared?.gate, target.sharedGate, [1, hiddenSize]),
      (latent?.down, target.latent?.down, nil),
      (latent?.up, target.latent?.up, nil),
      (outputNorm?.scale, target.outputNorm, nil),
    ]
    return all.compactMap { record, name, shape in
      guard let record, let name else { return nil }
      return (record, name, shape)
    }
  }

  /// What the layer computes, apart from the values of its tensors.
  var behaviour: [(name: String, value: String)] {
    let routed = specification
    let parts = shared.map {
      "\($0.experts.specification.intermediateSize), \($0.experts.specification.activation), \($0.combination), "
        + ($0.gate == nil ? "no gate" : "gate")
    }
    return [
      ("routing", "top \(topK), \(plan)"), ("details of routing", "\(plan.kind)"),
      ("experts", "\(routed.expertCount) of \(routed.hiddenSize) × \(routed.intermediateSize)"),
      ("activation", "\(routed.activation)"), ("biases", "\(routed.hasBias)"), ("shared experts", parts ?? "none"),
      ("tensors of the gate", "\(gateRecords.count)"), ("residual multiplier", "\(residualMultiplier)"),
    ]
  }
}
