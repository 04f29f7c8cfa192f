// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// A checkpoint whose routed experts are written again in another format; everything else is carried over as it is.
///
/// The experts take the layout of their family: one by one where it has that, as most quantised checkpoints are, else
/// fused. Weights that are already values of the new format come back unchanged.
///
/// ```swift
/// let model = try MoEModel(opening: "Mixtral-8x7B-v0.1")
/// let conversion = try CheckpointConversion(of: model, to: .mxfp4)
/// try conversion.write(to: "Mixtral-8x7B-mxfp4")
/// ```
public struct CheckpointConversion: Sendable {
  public let model: MoEModel
  public let type: WeightType
  /// The new `config.json`.
  public let configuration: JSONValue
  /// What a user should know.
  public let notes: [String]
  /// Tensors that are copied.
  let carried: [TensorRecord]
  /// Matrices that are encoded, of all experts of all layers.
  let matrices: [ConvertedMatrix]

  /// Everything that will be written, sorted by name.
  public var tensors: [TensorDeclaration] {
    let copies = carried.map { TensorDeclaration($0.name, $0.elementType, $0.shape) }
    var seen: Set<String> = []
    return (copies + matrices.flatMap(\.tensors).filter { seen.insert($0.name).inserted })
      .sorted { $0.name < $1.name }
  }

  public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount! } }

  /// - Parameter layers: the MoE layers whose experts are converted; all when nil.
  /// - Throws: every reason why the experts can't be written so.
  public init(
    of model: MoEModel, to type: WeightType, layers: Set<Int>? = nil, registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    guard type.container == .safetensors, model.checkpoint.catalog.ggufMetadata == nil else {
      throw MoEError(
        .unsupported, "conversion from and to GGUF files is not part of this version", file: model.checkpoint.path,
        expected: "safetensors to one of " + WeightType.allNames.prefix(11).joined(separator: ", "), found: "\(type)")
    }
    let architecture = registry.match(model.configuration) ?? .unknown
    for wanted in (layers ?? []).sorted() { _ = try model.layer(wanted) }
    let converted = model.layers.filter { layers?.contains($0.index) ?? true }
    var matrices: [ConvertedMatrix] = []
    var consumed: Set<String> = []
    for layer in converted {
      let layout = try architecture.routedLayout(type).inBlock(layer.block)
      matrices += try ConvertedMatrix.all(of: layer, layout, architecture.scheme(type))
      for piece in layer.experts.experts.joined().flatMap(\.pieces) { consumed.insert(piece.tensor.name) }
    }
    let names = Set(matrices.flatMap(\.tensors).map(\.name))
    carried = model.checkpoint.catalog.records.filter { !consumed.contains($0.name) }
    let clashes = carried.filter { names.contains($0.name) }
    guard clashes.isEmpty else {
      throw MoEError(
        clashes.map {
          Fault(
            .duplicateParameter, "a tensor that is carried over has the name of a converted one",
            file: model.checkpoint.catalog.path(of: $0), subject: $0.name)
        })
    }
    self.model = model
    self.type = type
    self.matrices = matrices
    (configuration, notes) = Self.configuration(model, type, architecture, carried)
  }

  /// Quantised modules other than the experts keep their tensors, which say by themselves what they are; one
  /// `quantization_config` has room for one method.
  private static func configuration(
    _ model: MoEModel, _ type: WeightType, _ architecture: Architecture, _ carried: [TensorRecord]
  ) -> (JSONValue, [String]) {
    guard var values = model.checkpoint.configuration.object else { return (model.checkpoint.configuration, []) }
    let previous = ["quantization_config", "compression_config"].first { values[$0].map { !$0.isNull } ?? false }
    let modules = carried.filter { $0.shape.rank == 2 && $0.name.hasSuffix(".weight") }.map {
      String($0.name.dropLast(".weight".utf8.count))
    }
    let isQuantized = carried.contains {
      $0.name.hasSuffix(".weight") && ![.bf16, .f16, .f32].contains($0.elementType)
    }
    var notes: [String] = []
    if isQuantized {
      notes.append(
        "modules besides the converted experts stay quantised as they were; config.json describes the experts only")
    }
    for key in ["quantization_config", "compression_config", "expert_dtype"] { values[key] = nil }
    values["quantization_config"] = architecture.quantization(type, ignoring: modules)
    if values["quantization_config"] == nil, isQuantized, let previous {
      values[previous] = model.checkpoint.configuration[previous]
      notes.removeAll()
    }
    return (.object(values), notes)
  }
}
