// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
public import Tensors

/// A checkpoint whose routed experts are written again in another format; everything else is carried over as it is.
///
/// The experts take the layout of their family: one by one where it has that, as most quantised checkpoints are, else
/// fused; in GGUF, stacked. Weights that are already values of the new format come back unchanged. From safetensors to
/// GGUF and back, every tensor takes its name there; one that has none is a reason to refuse.
///
/// ```swift
/// let model = try MoEModel(opening: "Mixtral-8x7B-v0.1")
/// let conversion = try CheckpointConversion(of: model, to: .mxfp4)
/// try conversion.write(to: "Mixtral-8x7B-mxfp4")
/// try CheckpointConversion(of: model, to: .bf16, in: .gguf).write(to: "mixtral-bf16.gguf")
/// ```
public struct CheckpointConversion: Sendable {
  public let model: MoEModel
  public let type: WeightType
  /// What is written: a folder of safetensors, or a GGUF file.
  public let container: WeightType.Container
  /// The new `config.json`; null for GGUF.
  public let configuration: JSONValue
  /// The metadata of the GGUF file; for safetensors, those of the one that was read, which stay beside them.
  public let metadata: [String: GGUFValue]
  /// What a user should know.
  public let notes: [String]
  /// Tensors that are copied.
  let carried: [CarriedTensor]
  /// Experts that are encoded.
  let experts: [ConvertedExpert]

  /// Everything that will be written, sorted by name.
  var tensors: [OutputTensor] {
    var seen: Set<String> = []
    let converted = experts.flatMap { $0.matrices.flatMap(\.tensors) }.filter { seen.insert($0.name).inserted }
    return (carried.map(\.output) + converted).sorted { $0.name < $1.name }
  }

  public var tensorCount: Int { tensors.count }

  public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  /// - Parameters:
  ///   - container: what is written; that of the type when nil.
  ///   - layers: the MoE layers whose experts are converted; all when nil.
  ///   - expertsOnly: leaves out what is not part of an MoE block.
  /// - Throws: every reason why the experts can't be written so.
  public init(
    of model: MoEModel, to type: WeightType, in container: WeightType.Container? = nil, layers: Set<Int>? = nil,
    expertsOnly: Bool = false, registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    let container = container ?? type.container
    let isGGUF = model.checkpoint.catalog.ggufMetadata != nil
    for wanted in (layers ?? []).sorted() { _ = try model.layer(wanted) }
    let own = registry.match(model.configuration) ?? .unknown
    let parts =
      isGGUF == (container == .gguf)
      ? try Self.recoded(model, own, type, container, layers)
      : try Self.moved(model, own, type, container, layers, leavesOthers: expertsOnly)
    var carried = parts.carried
    var notes = parts.notes
    if expertsOnly {
      let block = Set(model.layers.flatMap(\.records).map(\.name))
      let count = carried.count
      carried.removeAll { !block.contains($0.record.name) }
      let left = count - carried.count + parts.lost
      if left > 0 { notes.append("\(left) tensors beside the MoE blocks are left out") }
    }
    let names = Set(parts.experts.flatMap { $0.matrices.flatMap(\.tensors) }.map(\.name))
    let clashes = carried.filter { names.contains($0.output.name) }
    guard clashes.isEmpty else {
      throw MoEError(
        clashes.map {
          Fault(
            .duplicateParameter, "a tensor that is carried over has the name of a converted one",
            file: model.checkpoint.catalog.path(of: $0.record), subject: $0.record.name)
        })
    }
    (self.model, self.type, self.container) = (model, type, container)
    (self.carried, experts) = (carried, parts.experts)
    let header = try Header(of: model, own, type, container, carried: carried.map(\.output))
    (configuration, metadata) = (header.configuration, header.metadata)
    self.notes = notes + header.notes
    try check(registry)
  }

  /// What is written.
  struct Parts {
    var carried: [CarriedTensor] = []
    var experts: [ConvertedExpert] = []
    /// Tensors that have no name in the new container, and are left out.
    var lost = 0
    var notes: [String] = []
  }

  /// The same container: all names stay but those of the experts that are converted.
  private static func recoded(
    _ model: MoEModel, _ own: Architecture, _ type: WeightType, _ container: WeightType.Container, _ layers: Set<Int>?
  ) throws(MoEError) -> Parts {
    var parts = Parts()
    var consumed: Set<String> = []
    let architecture = container == .gguf ? own.inGGUF() : own
    let form = try type.form(in: container, architecture)
    for layer in model.layers where layers?.contains(layer.index) ?? true {
      let layout = try architecture.routedLayout(type, in: container).inBlock(layer.block)
      parts.experts += try ConvertedExpert.all(
        of: layer.experts, ConvertedMatrix.all(of: layer.experts, prefix: layer.prefix, layout, form))
      for piece in layer.experts.experts.joined().flatMap(\.pieces) { consumed.insert(piece.tensor.name) }
    }
    parts.carried = model.checkpoint.catalog.records.filter { !consumed.contains($0.name) }.map { CarriedTensor($0) }
    return parts
  }

  /// Resolves what will be written, and compares it with what was read.
  ///
  /// - Throws: what a load would find wrong, and every layer that would compute something else.
  private func check(_ registry: ArchitectureRegistry) throws(MoEError) {
    let result: MoEModel
    let checkpoint = try declared()
    result = try MoEModel(checkpoint, registry: registry)
    var faults: [Fault] = []
    for before in model.layers {
      let after = try result.layer(before.index)
      for ((name, old), (_, new)) in zip(before.behaviour, after.behaviour) where old != new {
        faults.append(
          Fault(
            .unsupported, "layer \(before.index) would compute something else: \(name)",
            file: model.checkpoint.path, expected: old, found: new,
            remedy: "what the model does has no place in the new file"))
      }
    }
    guard faults.isEmpty else { throw MoEError(faults) }
  }

  private func declared() throws(MoEError) -> Checkpoint {
    do throws(CheckpointError) {
      guard container == .gguf else {
        return try Checkpoint(declaring: tensors.map(\.declaration), configuration: configuration, name: "the result")
      }
      return try Checkpoint(declaring: tensors.compactMap(\.inGGUF), metadata: metadata, name: "the result")
    } catch {
      throw MoEError(error.faults)
    }
  }
}

/// One expert that is written again, or the shared experts of a layer.
struct ConvertedExpert: Sendable {
  let source: ExpertSource
  let expert: Int
  let matrices: [ConvertedMatrix]

  /// Where the values of its layer come from; nil where all is copied.
  func plan() throws(MoEError) -> LoadPlan? {
    guard matrices.contains(where: \.needsValues) else { return nil }
    return try LoadPlan(source, on: ReferenceBackend())
  }

  static func all(of source: ExpertSource, _ matrices: [ConvertedMatrix]) -> [Self] {
    Dictionary(grouping: matrices, by: \.expert).sorted { $0.key < $1.key }.map {
      Self(source: source, expert: $0.key, matrices: $0.value)
    }
  }
}

extension WeightType {
  /// The type of weights of this type in a GGUF file; nil where it has none.
  public var typeInGGUF: GGMLType? {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .mxfp4: .mxfp4
    case .ggml(let type): type
    default: nil
    }
  }

  /// How weights are written.
  ///
  /// - Throws: `.unsupported` for a type that the container has not.
  func form(in container: Container, _ architecture: Architecture) throws(MoEError) -> ConvertedMatrix.Form {
    if let elementType { return .plain(elementType) }
    switch container {
    case .gguf:
      if let type = typeInGGUF { return .blocks(type) }
      throw MoEError(
        .unsupported, "GGUF has no such type", subject: "\(self)",
        expected: "f32, f16, bf16, mxfp4 or a type of ggml", remedy: "write a folder of safetensors")
    case .safetensors:
      guard ggmlType == nil else {
        throw MoEError(.unsupported, "a type of GGUF", subject: "\(self)", remedy: "write a file that ends in .gguf")
      }
      return .scheme(architecture.scheme(self))
    }
  }
}
