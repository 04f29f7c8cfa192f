// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints

/// The routed experts of one layer on a backend.
///
/// ```swift
/// let experts = try RoutedExperts(model.layers[0].experts, of: model.checkpoint.catalog, on: CPUBackend())
/// let output = try experts.forward(hidden, routing: routing)           // routing given
/// ```
///
/// **Order of addition.** A token's experts are added in the order of its slots, then its substitutes, so the result
/// depends neither on the number of threads nor on the other tokens of the batch.
public struct RoutedExperts<B: Backend>: Sendable {
  public let backend: B
  /// The sizes of the model, or of this rank's share; those of `storage` may be padded.
  public let specification: LayerSpecification
  /// Who computes them.
  public let runner: any ExpertRunner<B>
  /// The experts in this process.
  public var storage: B.Storage { runner.storage }
  /// What the router's logits are turned into experts by; needed only when routing is not given.
  public var router: (any Router)?
  /// Experts without weights, by id.
  public var substitutes: [Int32: SubstituteExpert] = [:]

  /// Experts in memory that was filled before.
  ///
  /// - Parameter specification: the sizes without padding; those of the storage when nil.
  public init(
    backend: B, storage: B.Storage, specification: LayerSpecification? = nil, router: (any Router)? = nil,
    substitutes: [Int32: SubstituteExpert] = [:]
  ) {
    self.init(
      backend: backend, runner: LocalRunner(backend: backend, storage: storage),
      specification: specification ?? backend.specification(of: storage), router: router, substitutes: substitutes)
  }

  /// Experts that are computed by whoever has them.
  public init(
    backend: B, runner: any ExpertRunner<B>, specification: LayerSpecification, router: (any Router)? = nil,
    substitutes: [Int32: SubstituteExpert] = [:]
  ) {
    self.backend = backend
    self.runner = runner
    self.specification = specification
    self.router = router
    self.substitutes = substitutes
  }

  /// Loads experts from a checkpoint.
  ///
  /// - Parameter weightType: what the weights are converted or quantised to; nil for what they are.
  /// - Throws: what the backend can't hold, what can't be read, all at once.
  public init(
    _ source: ExpertSource, of catalog: TensorCatalog, on backend: B, weightType: WeightType? = nil,
    router: (any Router)? = nil, progress: (@Sendable (LoadProgress) -> Void)? = nil
  ) throws(MoEError) {
    let plan = try LoadPlan(source, on: backend, weightType: weightType)
    let storage = try backend.allocate(plan.layout)
    try plan.execute(from: catalog, into: storage, of: backend, progress: progress)
    self.init(backend: backend, storage: storage, specification: plan.specification, router: router)
  }
}

/// What stands in for an expert that has no weights.
public enum SubstituteExpert: Sendable, Hashable {
  /// Returns its input (LongCat's zero experts).
  case identity
  /// Returns a constant vector `[H]` (MoNE's approximated experts).
  case constant([Float])
}

/// What the experts of a layer return.
public struct ExpertsOutput: Sendable, Hashable {
  /// Σ weight · expert, `[tokens, H]`.
  public var routed: [Float]
  /// The raw output of the shared experts, `[tokens, H]`, where they were asked for.
  public var shared: [Float]?
}

extension RoutedExperts {
  /// Runs the experts on a given routing: the *modular* entry.
  ///
  /// - Parameters:
  ///   - hidden: `[tokens, H]`.
  ///   - routing: `[tokens, topK]`; ids are experts or ``substitutes``, −1 is skipped.
  ///   - shared: run beside the routed experts; where these are on many ranks, while rows travel.
  ///   - sharedInput: what the shared experts read, where it is not `hidden`.
  /// - Throws: `invalidArgument` when lengths, ids or weights do not fit.
  public func forward(
    _ hidden: [Float], routing: Routing, shared: SharedExperts<B>? = nil, sharedInput: [Float]? = nil
  ) throws(MoEError) -> ExpertsOutput {
    let width = specification.hiddenSize
    try validateRows(hidden, width: width, tokenCount: routing.tokenCount, name: "hidden states")
    let (stored, substituted) = try split(routing)
    let stride = backend.specification(of: storage).hiddenSize
    var sharedOutput: [Float]?
    var routed = try runner.forward(hidden.resized(rows: width, to: stride), routing: stored) { () throws(MoEError) in
      sharedOutput = try shared?.forward(sharedInput ?? hidden, tokenCount: routing.tokenCount)
    }
    .resized(rows: stride, to: width)
    for slot in substituted {
      let row = slot / routing.topK * width
      let weight = routing.weights[slot]
      switch substitutes[routing.ids[slot]]! {
      case .identity: for index in row..<row + width { routed[index] += weight * hidden[index] }
      case .constant(let value): for index in 0..<width { routed[row + index] += weight * value[index] }
      }
    }
    return ExpertsOutput(routed: routed, shared: sharedOutput)
  }

  /// Routes and runs the experts: the *monolithic* entry.
  ///
  /// - Parameters:
  ///   - routerLogits: `[tokens, experts]`.
  ///   - tokenIDs: `[tokens]`, for hash routing.
  public func forward(
    _ hidden: [Float], routerLogits: [Float], tokenIDs: [Int32]? = nil, isPadding: [Bool]? = nil,
    shared: SharedExperts<B>? = nil, sharedInput: [Float]? = nil
  ) throws(MoEError) -> (output: ExpertsOutput, routing: Routing) {
    guard let router else {
      throw MoEError(.invalidArgument, "these experts have no router", remedy: "give a routing instead")
    }
    let tokenCount = hidden.count / specification.hiddenSize
    try validateRows(hidden, width: specification.hiddenSize, tokenCount: tokenCount, name: "hidden states")
    let routing = try router.route(
      RouterInput(logits: routerLogits, tokenCount: tokenCount, tokenIDs: tokenIDs, isPadding: isPadding))
    return (try forward(hidden, routing: routing, shared: shared, sharedInput: sharedInput), routing)
  }

  /// The slots that have weights, the rest skipped, and the list of those that are substituted.
  private func split(_ routing: Routing) throws(MoEError) -> (stored: Routing, substituted: [Int]) {
    guard !substitutes.isEmpty else { return (routing, []) }
    for (id, substitute) in substitutes {
      guard case .constant(let value) = substitute, value.count != specification.hiddenSize else { continue }
      throw MoEError(
        .invalidArgument, "the constant in the place of expert \(id) must be [H]",
        expected: "\(specification.hiddenSize) values", found: "\(value.count)")
    }
    try routing.validate(idCount: .max)
    var stored = routing
    var substituted: [Int] = []
    for slot in routing.ids.indices where substitutes[routing.ids[slot]] != nil {
      stored.ids[slot] = -1
      stored.weights[slot] = 0
      substituted.append(slot)
    }
    return (stored, substituted)
  }
}

extension [Float] {
  /// Rows of `width` as rows of another width: cut off, or followed by zeros.
  fileprivate func resized(rows width: Int, to newWidth: Int) -> Self {
    guard width != newWidth else { return self }
    var result = Self(repeating: 0, count: count / width * newWidth)
    for row in 0..<count / width {
      for column in 0..<Swift.min(width, newWidth) { result[row * newWidth + column] = self[row * width + column] }
    }
    return result
  }
}
