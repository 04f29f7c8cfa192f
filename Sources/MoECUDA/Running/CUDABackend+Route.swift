// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
public import MoE
internal import Tensors

extension CUDABackend {
  /// Routes on the device by ``TopKRouter``, ``HashRouter`` and ``SparseMixerRouter``; other routers, and those of more
  /// than 1024 experts, 32 slots or 32 groups, get their logits on the host.
  public func route(
    _ router: any Router, logits: CUDABuffer, tokenCount: Int, tokenIDs: [Int32]?, isPadding: [Bool]?,
    ids: CUDABuffer, weights: CUDABuffer, on queue: CUDAQueue
  ) throws(MoEError) {
    guard let known = router as? any DeviceRouter, let (kernel, recipe) = known.device else {
      return try routeOnHost(
        router, logits: logits, tokenCount: tokenCount, tokenIDs: tokenIDs, isPadding: isPadding, ids: ids,
        weights: weights, on: queue)
    }
    try validateBatch(tokenCount, router.topK)
    for (name, count) in [("token ids", tokenIDs?.count), ("padding flags", isPadding?.count)] {
      guard let count, count != tokenCount else { continue }
      throw MoEError(.invalidArgument, "\(name) must be [tokens]", expected: "\(tokenCount) values", found: "\(count)")
    }
    try logits.require(tokenCount * router.expertCount * 4)
    try ids.require(tokenCount * router.topK * 4)
    try weights.require(tokenCount * router.topK * 4)
    guard tokenCount > 0 else { return }
    var arguments = recipe
    (arguments.tokens, arguments.experts) = (Int32(tokenCount), Int32(router.expertCount))
    arguments.top_k = Int32(router.topK)
    (arguments.logits, arguments.ids, arguments.weights) = (logits.address, ids.address, weights.address)
    if let correction = known.correctionOnDevice { arguments.correction = try device().constant(correction).address }
    if let scale = known.scaleOnDevice { arguments.expert_scale = try device().constant(scale).address }
    if let given = try known.givenIDs(tokenIDs, isPadding) {
      arguments.ids_are_given = 1
      try upload(given, to: ids, on: queue)
    }
    // Lives until the kernel has run: freeing it waits, and a graph keeps it.
    let padding = try isPadding.map { (flags) throws(MoEError) in
      try makeBuffer(flags.map { $0 ? UInt8(1) : 0 }, on: queue)
    }
    queue.keep(padding)
    arguments.is_padding = padding?.address ?? 0
    try queue.launch(kernel, x: (tokenCount + 3) / 4, arguments)
  }
}

/// A router that there is a kernel for.
private protocol DeviceRouter: Router {
  /// The kernel and what it does; nil where this one is too large for it.
  var device: (Kernel, moe_route_arguments)? { get }
  var correctionOnDevice: [Float]? { get }
  var scaleOnDevice: [Float]? { get }
  /// The experts of all tokens, where they don't depend on logits.
  func givenIDs(_ tokenIDs: [Int32]?, _ isPadding: [Bool]?) throws(MoEError) -> [Int32]?
}

extension DeviceRouter {
  var correctionOnDevice: [Float]? { nil }
  var scaleOnDevice: [Float]? { nil }
  func givenIDs(_ tokenIDs: [Int32]?, _ isPadding: [Bool]?) throws(MoEError) -> [Int32]? { nil }

  fileprivate var fits: Bool { expertCount <= MOE_ROUTE_EXPERTS && topK <= MOE_ROUTE_SLOTS }
}

extension TopKRouter: DeviceRouter {
  fileprivate var device: (Kernel, moe_route_arguments)? {
    guard fits, recipe.groups?.count ?? 0 <= 32 else { return nil }
    var arguments = moe_route_arguments()
    arguments.set(recipe.scoring, recipe.normalization, recipe.scale)
    arguments.ranks_logits = recipe.ranksLogits ? 1 : 0
    arguments.soft_cap = recipe.softCap ?? 0
    if let groups = recipe.groups {
      (arguments.groups, arguments.kept_groups) = (Int32(groups.count), Int32(groups.kept))
      arguments.sums_top_two = groups.score == .topTwoSum ? 1 : 0
      arguments.mask_value = groups.maskValue
      arguments.keeps_dropped_scores = correctionBias != nil && groups.maskValue > -.infinity ? 1 : 0
    }
    return (.routeTop, arguments)
  }

  fileprivate var correctionOnDevice: [Float]? { correctionBias }
  fileprivate var scaleOnDevice: [Float]? { perExpertScale }
}

extension HashRouter: DeviceRouter {
  fileprivate var device: (Kernel, moe_route_arguments)? {
    guard fits, vision == nil else { return nil }
    var arguments = moe_route_arguments()
    arguments.set(scoring, normalization, scale)
    return (.routeTop, arguments)
  }

  fileprivate func givenIDs(_ tokenIDs: [Int32]?, _ isPadding: [Bool]?) throws(MoEError) -> [Int32]? {
    guard let tokenIDs else {
      throw MoEError(
        .invalidArgument, "this layer routes by token id, and no token ids were given", remedy: "pass the token ids")
    }
    var ids: [Int32] = []
    ids.reserveCapacity(tokenIDs.count * topK)
    for (token, id) in tokenIDs.enumerated() {
      if isPadding?[token] == true {
        ids += [Int32](repeating: -1, count: topK)
        continue
      }
      guard id >= 0, Int(id) < vocabularySize else {
        throw MoEError(
          .invalidArgument, "token \(token) has an id outside of the routing table", expected: "0..<\(vocabularySize)",
          found: "\(id)")
      }
      ids += table[Int(id) * topK..<(Int(id) + 1) * topK]
    }
    return ids
  }
}

extension SparseMixerRouter: DeviceRouter {
  fileprivate var device: (Kernel, moe_route_arguments)? {
    guard fits else { return nil }
    var arguments = moe_route_arguments()
    arguments.jitter = jitter
    return (.routeSparseMixer, arguments)
  }
}

extension moe_route_arguments {
  fileprivate mutating func set(_ scoring: Scoring, _ normalization: Normalization, _ scale: Float) {
    switch scoring {
    case .softmax: self.scoring = Int32(MOE_SOFTMAX)
    case .sigmoid: self.scoring = Int32(MOE_SIGMOID)
    case .sqrtSoftplus: self.scoring = Int32(MOE_SQRT_SOFTPLUS)
    case .selectedSoftmax: self.scoring = Int32(MOE_SELECTED_SOFTMAX)
    }
    switch normalization {
    case .none: self.normalization = Int32(MOE_NO_NORMALIZATION)
    case .sum(let epsilon): (self.normalization, normalization_number) = (Int32(MOE_SUM), epsilon)
    case .clampedSum(let minimum): (self.normalization, normalization_number) = (Int32(MOE_CLAMPED_SUM), minimum)
    case .pNorm(let power): (self.normalization, normalization_number) = (Int32(MOE_P_NORM), power)
    }
    self.scale = scale
  }
}
