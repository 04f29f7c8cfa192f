// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE
internal import Synchronization

/// A layer in memory on any backend: what `moe_layer` stands for.
final class LoadedLayer: HandleObject {
  static let kind = "moe_layer"

  /// The sizes that callers must know.
  struct Sizes: Sendable {
    var hiddenSize: Int
    var modelSize: Int
    var intermediateSize: Int
    var expertCount: Int
    var localExpertCount: Int
    var idCount: Int
    /// nil without a router.
    var topK: Int?
    var residentBytes: Int
    var hasBlock: Bool
  }

  struct Input: Sendable {
    var hidden: [Float]
    var rest: MoEInput
    var isWholeBlock: Bool
  }

  struct Output: Sendable {
    var values: [Float]
    /// With ids of all experts, whatever this rank holds.
    var routing: Routing
  }

  let sizes: Sizes
  private let run: @Sendable (Input) throws(MoEError) -> Output
  private let loads: Mutex<[Int64]>

  private init(_ sizes: Sizes, run: @escaping @Sendable (Input) throws(MoEError) -> Output) {
    self.sizes = sizes
    self.run = run
    loads = Mutex(Array(repeating: 0, count: sizes.idCount))
  }

  func forward(_ input: Input) throws(MoEError) -> Output {
    let output = try run(input)
    loads.withLock { loads in
      for id in output.routing.ids where loads.indices.contains(Int(id)) { loads[Int(id)] += 1 }
    }
    return output
  }

  /// Routed slots of each id since the counters were reset.
  func loads(reset: Bool) -> [Int64] {
    loads.withLock { loads in
      defer { if reset { loads = Array(repeating: 0, count: loads.count) } }
      return loads
    }
  }
}

// MARK: - Kinds of layers

extension LoadedLayer {
  /// A layer of a model, as the options say.
  static func load(
    _ layer: MoEModel.Layer, of model: MoEModel, _ options: LoadOptions
  ) throws(MoEError) -> LoadedLayer {
    func load(_ backend: some Backend) throws(MoEError) -> LoadedLayer {
      let plan = try LoadPlan(layer.experts, on: backend, as: options.grid, weightType: options.weightType)
      let storage = try backend.allocate(plan.layout)
      try plan.execute(from: model.checkpoint.catalog, into: storage, of: backend)
      return try around(plan, storage, of: backend, layer, of: model, options)
    }
    return try load(options.backend)
  }

  /// A layer whose routed experts are in memory, or will be.
  static func around<B: Backend>(
    _ plan: LoadPlan, _ storage: B.Storage, of backend: B, _ layer: MoEModel.Layer, of model: MoEModel,
    _ options: LoadOptions
  ) throws(MoEError) -> LoadedLayer {
    let experts = RoutedExperts(backend: backend, storage: storage, specification: plan.specification)
    guard !options.expertsOnly, options.grid.worldSize == 1 else { return share(plan, experts) }
    let block = try MoELayer(layer, of: model, experts: experts, weightType: options.weightType)
    var sizes = Sizes(plan)
    sizes.modelSize = block.hiddenSize
    sizes.idCount = block.gate.router.expertCount
    sizes.topK = block.gate.router.topK
    sizes.hasBlock = true
    return LoadedLayer(sizes) { (input) throws(MoEError) in
      guard !input.isWholeBlock else {
        let result = try block.forward(input.hidden, input.rest)
        return Output(values: result.output, routing: result.routing)
      }
      if let routing = input.rest.routing {
        return Output(values: try block.experts.forward(input.hidden, routing: routing).routed, routing: routing)
      }
      let result = try block.experts.forward(
        input.hidden, routerLogits: input.rest.routerLogits!, tokenIDs: input.rest.tokenIDs)
      return Output(values: result.output.routed, routing: result.routing)
    }
  }

  /// A rank's share of routed experts, or all of them.
  static func share<B: Backend>(_ plan: LoadPlan, _ experts: RoutedExperts<B>) -> LoadedLayer {
    let local = ExpertMap(plan.placement, rank: plan.rank.expertRank).globalToLocal
    return LoadedLayer(Sizes(plan)) { (input) throws(MoEError) in
      guard let routing = input.rest.routing, !input.isWholeBlock else {
        throw MoEError(
          .invalidArgument, "the layer was loaded without a router", expected: "topk_ids and topk_weights",
          remedy: "route before, or load the whole layer on one rank")
      }
      try routing.validate(idCount: local.count)
      var own = routing
      for slot in own.ids.indices where own.ids[slot] >= 0 { own.ids[slot] = local[Int(own.ids[slot])] }
      for slot in own.ids.indices where own.ids[slot] < 0 { own.weights[slot] = 0 }
      return Output(values: try experts.forward(input.hidden, routing: own).routed, routing: routing)
    }
  }
}

extension LoadedLayer.Sizes {
  fileprivate init(_ plan: LoadPlan) {
    let specification = plan.specification
    self.init(
      hiddenSize: specification.hiddenSize, modelSize: specification.hiddenSize,
      intermediateSize: specification.intermediateSize, expertCount: plan.placement.expertCount,
      localExpertCount: plan.slots.count, idCount: plan.placement.expertCount, topK: nil,
      residentBytes: plan.residentBytes, hasBlock: false)
  }
}
