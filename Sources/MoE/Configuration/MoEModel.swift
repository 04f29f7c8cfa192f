// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
internal import Tensors

/// The MoE layers of a checkpoint: sizes, routing, and where every tensor lies. Only headers were read for it.
///
/// ```swift
/// let model = try MoEModel(opening: "Qwen3-30B-A3B")
/// for layer in model.layers { print(layer.index, layer.specification.expertCount, layer.plan) }
/// let layer = try MoELayer(model.layers[0], of: model, on: CPUBackend())
/// let output = try layer.forward(hidden)
/// ```
public struct MoEModel: Sendable {
  public let checkpoint: Checkpoint
  public let configuration: ModelConfiguration
  /// The family's name.
  public let architecture: String
  /// In ascending order of ``Layer/index``.
  public let layers: [Layer]
  /// What a user should know: assumptions, layouts that are not the family's own.
  public let notes: [String]

  /// One MoE layer.
  public struct Layer: Sendable {
    public let index: Int
    /// What its tensors' names begin with.
    public let prefix: String
    /// The module below it that has the experts.
    let block: String
    /// The width of the model, H. The routed experts' may be narrower.
    public let hiddenSize: Int
    public let topK: Int
    public let plan: RouterPlan
    public let experts: ExpertSource
    public let gate: GateSource
    public let shared: SharedSource?
    /// Projections into and out of the width of the routed experts.
    public let latent: LatentSource?
    public let outputNorm: NormSource?
    /// What a decoder multiplies the block's output by before it adds the residual (Granite).
    public let residualMultiplier: Float

    public var specification: LayerSpecification { experts.specification }
  }

  /// The tensors of a gate and of the router behind it.
  public struct GateSource: Sendable {
    public let weight: TensorRecord
    /// Whether the weight is stored `[H, E]`.
    public let isTurned: Bool
    public let bias: TensorRecord?
    public let correctionBias: TensorRecord?
    public let hashTable: TensorRecord?
    /// Gemma-4's scale of the gate's input, with the ε of the norm before it.
    public let inputScale: NormSource?
    public let perExpertScale: TensorRecord?
    /// The correction bias of image tokens, and the first of their ids.
    public let images: ImageSource?
  }

  public struct ImageSource: Sendable {
    public let bias: TensorRecord
    public let sentinel: Int32
  }

  public struct SharedSource: Sendable {
    public let experts: ExpertSource
    public let gate: TensorRecord?
    public let combination: SharedCombination
  }

  public struct LatentSource: Sendable {
    public let down: TensorRecord
    public let up: TensorRecord
  }

  public struct NormSource: Sendable {
    public let scale: TensorRecord
    public let epsilon: Float
  }
}

extension MoEModel {
  /// Reads a checkpoint's headers and resolves its MoE layers.
  ///
  /// - Parameters:
  ///   - path: a folder, a safetensors file with `config.json` beside it, or a GGUF file.
  ///   - layers: the layers to resolve; all when nil.
  /// - Throws: a ``MoEError`` with every fault of every layer asked for.
  public init(
    opening path: String, layers: Set<Int>? = nil, registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    let checkpoint: Checkpoint
    do throws(CheckpointError) {
      checkpoint = try Checkpoint(opening: path)
    } catch {
      throw MoEError(error.faults)
    }
    try self.init(checkpoint, layers: layers, registry: registry)
  }

  /// - Throws: a ``MoEError`` with what a ``Survey`` finds wrong.
  public init(
    _ checkpoint: Checkpoint, layers: Set<Int>? = nil, registry: ArchitectureRegistry = .standard
  ) throws(MoEError) {
    let survey = Survey(checkpoint, layers: layers, registry: registry)
    guard survey.faults.isEmpty else { throw MoEError(Self.readable(survey.faults.map(\.fault))) }
    self.checkpoint = checkpoint
    configuration = survey.configuration
    architecture = survey.architecture
    self.layers = survey.layers
    notes = survey.notes
  }

  /// The layer of a number.
  ///
  /// - Throws: `invalidArgument` naming the MoE layers there are.
  public func layer(_ index: Int) throws(MoEError) -> Layer {
    guard let layer = layers.first(where: { $0.index == index }) else {
      throw MoEError([Survey.noSuchLayer([index], layers.map(\.index), path: checkpoint.path)])
    }
    return layer
  }

  /// The first of the faults, and the number of the others where nobody would read them all.
  private static func readable(_ faults: [Fault]) -> [Fault] {
    let limit = Survey.usualFaultLimit
    guard faults.count > limit else { return faults }
    return faults.prefix(limit) + [Fault(faults[limit].code, "and \(faults.count - limit) more faults")]
  }
}
