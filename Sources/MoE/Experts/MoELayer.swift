// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints

/// A whole MoE block: gate, router, routed experts, shared experts, and the steps between them.
///
/// ```swift
/// let model = try MoEModel(opening: "Mixtral-8x7B-v0.1")
/// let layer = try MoELayer(model.layers[0], of: model, on: CPUBackend())
/// let result = try layer.forward(hidden)              // hidden: [tokens, H]
/// result.routing.ids                                   // [tokens, topK]
/// result.output                                        // [tokens, H]
/// ```
///
/// In order: norm of the gate's input (Gemma-4), gate, router; projection into the latent width (Nemotron-H); routed
/// experts; post-scale; projection back; shared experts; output norm (A.X-K1).
public struct MoELayer<B: Backend>: Sendable {
  public let experts: RoutedExperts<B>
  public let shared: SharedExperts<B>?
  public let gate: Gate<B>
  public let hiddenSize: Int
  /// Multiplies the summed routed output.
  public let postScale: Float
  /// What a decoder multiplies the block's output by before adding it to the residual.
  public let residualMultiplier: Float
  let latent: (down: B.Linear, up: B.Linear)?
  let outputNorm: RootMeanSquareNorm?

  /// Loads a layer of a model.
  ///
  /// - Parameters:
  ///   - weightType: what the experts' weights are converted or quantised to; nil for what they are.
  ///   - loading: where the experts go: all in this process, or on many ranks.
  public init(
    _ layer: MoEModel.Layer, of model: MoEModel, on backend: B, weightType: WeightType? = nil,
    by loading: some ExpertLoading = LocalLoading(), progress: (@Sendable (LoadProgress) -> Void)? = nil
  ) throws(MoEError) {
    try self.init(
      layer, of: model,
      experts: loading.load(
        layer.experts, of: model.checkpoint.catalog, on: backend, isShared: false, weightType: weightType,
        progress: progress), by: loading, weightType: weightType)
  }

  /// A layer around experts that are in memory already; what else it has is read from the checkpoint.
  public init(
    _ layer: MoEModel.Layer, of model: MoEModel, experts loaded: RoutedExperts<B>,
    by loading: some ExpertLoading = LocalLoading(), weightType: WeightType? = nil
  ) throws(MoEError) {
    let catalog = model.checkpoint.catalog
    let backend = loaded.backend
    gate = try Gate(layer, of: catalog, on: backend)
    var experts = loaded
    experts.router = gate.router
    for id in 0..<layer.plan.zeroExpertCount {
      experts.substitutes[Int32(layer.specification.expertCount + id)] = .identity
    }
    self.experts = experts
    if let source = layer.shared {
      shared = SharedExperts(
        try loading.load(
          source.experts, of: catalog, on: backend, isShared: true, weightType: weightType, progress: nil),
        gate: try source.gate.map { (tensor) throws(MoEError) in try backend.makeLinear(tensor, of: catalog) },
        combination: source.combination)
    } else {
      shared = nil
    }
    if let source = layer.latent {
      latent = (
        try backend.makeLinear(source.down, of: catalog), try backend.makeLinear(source.up, of: catalog)
      )
    } else {
      latent = nil
    }
    outputNorm = try layer.outputNorm.map { (source) throws(MoEError) in
      RootMeanSquareNorm(scale: try catalog.values(of: source.scale), epsilon: source.epsilon)
    }
    hiddenSize = layer.hiddenSize
    postScale = layer.plan.postScale
    residualMultiplier = layer.residualMultiplier
  }
}

/// What an MoE block returns, step by step.
public struct MoEOutput: Sendable, Hashable {
  public var routing: Routing
  /// Σ weight · expert, `[tokens, H]` or the latent width: before post-scale, latent projection and shared experts.
  public var routed: [Float]
  /// The raw output of the shared experts, `[tokens, H]`.
  public var shared: [Float]?
  /// The whole block, `[tokens, H]`.
  public var output: [Float]
}

/// What replaces parts of a block's input, where it is not simply the hidden states.
public struct MoEInput: Sendable {
  /// What the experts read, where it differs from what the router reads (Gemma-4), `[tokens, H]`.
  public var expertInput: [Float]?
  /// Instead of the gate, `[tokens, experts]`.
  public var routerLogits: [Float]?
  /// Instead of the router.
  public var routing: Routing?
  /// `[tokens]`, for hash routing.
  public var tokenIDs: [Int32]?
  /// `[tokens]`; such rows are skipped.
  public var isPadding: [Bool]?
  /// Added after the block: residual + multiplier · block, `[tokens, H]`.
  public var residual: [Float]?

  public init(
    expertInput: [Float]? = nil, routerLogits: [Float]? = nil, routing: Routing? = nil, tokenIDs: [Int32]? = nil,
    isPadding: [Bool]? = nil, residual: [Float]? = nil
  ) {
    self.expertInput = expertInput
    self.routerLogits = routerLogits
    self.routing = routing
    self.tokenIDs = tokenIDs
    self.isPadding = isPadding
    self.residual = residual
  }
}

extension MoELayer {
  /// Runs the block on hidden states `[tokens, H]`.
  ///
  /// - Throws: `invalidArgument` when lengths or ids do not fit the layer.
  public func forward(_ hidden: [Float], _ input: MoEInput = MoEInput()) throws(MoEError) -> MoEOutput {
    let tokenCount = try tokenCount(of: hidden)
    for (name, rows) in [("expert input", input.expertInput), ("residual", input.residual)] {
      if let rows { try validateRows(rows, width: hiddenSize, tokenCount: tokenCount, name: name) }
    }
    let routing = try route(hidden, input, tokenCount: tokenCount)
    let expertInput = input.expertInput ?? hidden
    let backend = experts.backend
    let narrowed =
      try latent.map { (latent) throws(MoEError) in
        try backend.apply(latent.down, to: expertInput, tokenCount: tokenCount)
      } ?? expertInput
    let result = try experts.forward(narrowed, routing: routing, shared: shared, sharedInput: expertInput)

    var output = postScale == 1 ? result.routed : result.routed.map { postScale * $0 }
    if let latent { output = try backend.apply(latent.up, to: output, tokenCount: tokenCount) }
    if let shared, let raw = result.shared {
      try shared.combine(raw, into: &output, hidden: expertInput, tokenCount: tokenCount)
    }
    if let outputNorm { output = outputNorm.apply(output) }
    if let residual = input.residual {
      for index in output.indices { output[index] = residual[index] + residualMultiplier * output[index] }
    }
    return MoEOutput(routing: routing, routed: result.routed, shared: result.shared, output: output)
  }

  /// The routing of a batch: given, from given logits, or from the gate.
  public func route(_ hidden: [Float], _ input: MoEInput = MoEInput()) throws(MoEError) -> Routing {
    try route(hidden, input, tokenCount: tokenCount(of: hidden))
  }

  private func tokenCount(of hidden: [Float]) throws(MoEError) -> Int {
    guard hidden.count.isMultiple(of: hiddenSize) else {
      throw MoEError(
        .invalidArgument, "hidden states must be [tokens, \(hiddenSize)]", found: "\(hidden.count) values")
    }
    return hidden.count / hiddenSize
  }

  private func route(_ hidden: [Float], _ input: MoEInput, tokenCount: Int) throws(MoEError) -> Routing {
    if let routing = input.routing {
      guard routing.tokenCount == tokenCount else {
        throw MoEError(
          .invalidArgument, "the routing is of another number of tokens than the hidden states",
          expected: "\(tokenCount)", found: "\(routing.tokenCount)")
      }
      return routing
    }
    var logits = input.routerLogits
    if logits == nil { logits = try gate.logits(hidden, tokenCount: tokenCount, on: experts.backend) }
    return try gate.router.route(
      RouterInput(logits: logits!, tokenCount: tokenCount, tokenIDs: input.tokenIDs, isPadding: input.isPadding))
  }
}
