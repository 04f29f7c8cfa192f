// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import MoECUDA
import Tensors

/// A layer of random experts of one form against the Float64 reference: batches of all sizes and kinds of routing, outputs
/// poisoned before, each twice and once as a graph with the same bits.
struct LayerCheck {
  private let name: String
  private let experts: RandomExperts
  private static let topK = 3
  /// With 13 experts, batches for tiles of every height.
  private var batches = [1, 2, 7, 8, 64, 129, 300, 400, 512, 4096]
  /// Of a batch: the reference is slow.
  private var mostTokensChecked = 16

  /// Every type that weights may be quantised to.
  static let types: [WeightType] = WeightType.allNames.flatMap { name in
    (name.contains("gN") ? ["32", "128"] : [""]).compactMap { size in
      try? WeightType(parsing: size.isEmpty ? name : name.replacing("gN", with: "g\(size)"))
    }
  }

  /// Every function with what models give it, with biases and with weights on the input.
  static let activations: [Activation] = [
    Activation(.silu, limit: 0.7), .swigluOAI(), .swigluStep(limit: 0.5), Activation(.gelu), Activation(.geluTanh),
    Activation(.relu2), Activation(.situ(beta: 1.5, upBeta: 0.75)), Activation(.silu, isGated: false),
    Activation(.gelu, isGated: false), Activation(.geluTanh, isGated: false), Activation(.relu2, isGated: false),
  ]

  init(_ type: WeightType) throws {
    name = "\(type)"
    // Sizes that are no multiples of a tile, where the type allows it.
    let isDense = type.elementType != nil
    let (hidden, intermediate) = isDense ? (208, 336) : type.ggmlType == nil ? (256, 384) : (256, 512)
    experts = try RandomExperts(
      LayerSpecification(expertCount: 13, hiddenSize: hidden, intermediateSize: intermediate), type)
  }

  /// Sizes in which the last block of a row, or the last rows of a block, are not whole.
  static let unevenLayers: [(type: WeightType, hidden: Int, intermediate: Int)] = [
    (.fp8Block, 272, 400), (.fp8Channel, 272, 400), (.mxfp4, 288, 416),
  ]

  init(_ type: WeightType, hidden: Int, intermediate: Int) throws {
    name = "\(type), \(hidden) × \(intermediate)"
    experts = try RandomExperts(
      LayerSpecification(expertCount: 13, hiddenSize: hidden, intermediateSize: intermediate), type)
  }

  /// Types that have kernels of their own for each activation.
  static let activatedTypes: [WeightType] = [.bf16, .fp8Block, .mxfp4]

  init(_ activation: Activation, _ type: WeightType) throws {
    name = "\(activation), bias, \(type)"
    let (hidden, intermediate) = type.elementType != nil ? (208, 336) : (256, 384)
    experts = try RandomExperts(
      LayerSpecification(
        expertCount: 13, hiddenSize: hidden, intermediateSize: intermediate, activation: activation, hasBias: true,
        weightOnInput: activation.isGated), type)
  }

  /// Rows of so many columns, and so many of them, that two blocks share copies of weights.
  static func pairsOfTiles() throws -> Self {
    var check = Self(
      name: "pairs of tiles, bf16",
      experts: try RandomExperts(LayerSpecification(expertCount: 6, hiddenSize: 2560, intermediateSize: 2576), .bf16))
    (check.batches, check.mostTokensChecked) = ([1024], 4)
    return check
  }

  private init(name: String, experts: RandomExperts) {
    (self.name, self.experts) = (name, experts)
  }

  func run() throws -> [Finding] {
    try [(ActivationPrecision.f32, 1e-5), (.bf16, 1e-2), (.fp8, 1e-2)].map { precision, bound in
      let backend = CUDABackend(activations: precision)
      let layout = try backend.layout(of: experts.specification)
      // The fp8 units round the intermediate twice, so that more of it falls on a code beside the reference's.
      let bound = precision == .fp8 && layout.identity.contains("hopper") ? 5e-2 : bound
      // Of activations as fp8 the truth is the reference that is told to quantise them so. Sums of 32 and of 64 bits
      // may round to codes beside each other, which are 6 % apart.
      let schemes = layout.activations
      let reference = ReferenceBackend(activations: precision == .fp8 ? .declared : .f32)
      let truth = try experts.declaring(schemes).store(on: reference)
      let storage = try experts.store(on: backend)
      var worst = 0.0
      for (index, tokens) in batches.enumerated() {
        for kind in RoutingKind.allCases {
          let (count, width) = (experts.specification.expertCount, experts.specification.hiddenSize)
          let routing = try kind.routing(tokens: tokens, topK: Self.topK, experts: count, seed: UInt64(index + 1))
          let values = randomValues(tokens * width, seed: UInt64(100 + index))
          // Tokens are rounded to bf16 before they become fp8, which the reference doesn't do.
          let hidden = precision == .fp8 ? ElementType.bf16.decode(ElementType.bf16.encode(values)) : values
          let found = try output(of: backend, storage, hidden, routing, bound)
          let sample = Array(stride(from: 0, to: tokens, by: max(1, tokens / mostTokensChecked)))
          let slots = sample.flatMap { routing.slots(of: $0) }
          let expected = try reference.forward(
            truth, hidden: sample.flatMap { hidden[$0 * width..<($0 + 1) * width] },
            routing: Routing(
              topK: Self.topK, ids: slots.map { routing.ids[$0] }, weights: slots.map { routing.weights[$0] }))
          worst = max(worst, relativeError(sample.flatMap { found[$0 * width..<($0 + 1) * width] }, expected))
        }
      }
      return Finding(name: "\(name) \(precision.rawValue)", error: worst, bound: bound)
    }
  }

  /// - Throws: where two runs, or a run and a graph of it, differ in a bit.
  private func output(
    of backend: CUDABackend, _ storage: CUDAStorage, _ hidden: [Float], _ routing: Routing, _ bound: Double
  ) throws -> [Float] {
    let queue = try backend.makeQueue()
    let input = try backend.makeBuffer(hidden, on: queue)
    let ids = try backend.makeBuffer(routing.ids, on: queue)
    let weights = try backend.makeBuffer(routing.weights, on: queue)
    let output = try backend.makeBuffer(byteCount: hidden.count * 4)
    func forward() throws(MoEError) {
      try backend.forward(
        storage, hidden: input, ids: ids, weights: weights, tokenCount: routing.tokenCount, topK: Self.topK,
        into: output, on: queue)
    }
    func result(_ run: () throws -> Void) throws -> [Float] {
      try backend.upload([Float](repeating: .nan, count: hidden.count), to: output, on: queue)
      try run()
      return try backend.download(output, count: hidden.count, as: Float.self, on: queue)
    }
    let first = try result { try forward() }
    let graph = try queue.capture { () throws(MoEError) in try forward() }
    for again in [try result { try forward() }, try result { try graph.launch(on: queue) }]
    where again.map(\.bitPattern) != first.map(\.bitPattern) {
      throw MoEError(.invalidValue, "two runs differ", subject: "\(name), \(routing.tokenCount) tokens")
    }
    // Both halves sum in the order of slots; at most 8 tokens may have been added up in another.
    let rows = try backend.makeBuffer(byteCount: routing.ids.count * backend.rowBytes(of: storage))
    let indices = try backend.makeBuffer(routing.ids.indices.map { Int32(routing.ids.count - 1 - $0) }, on: queue)
    let halves = try result {
      try backend.forwardRows(
        storage, hidden: input, ids: ids, weights: weights, indices: indices, tokenCount: routing.tokenCount,
        topK: Self.topK, into: rows, on: queue)
      try backend.combine(
        storage, rows: rows, ids: ids, weights: weights, indices: indices, tokenCount: routing.tokenCount,
        topK: Self.topK, into: output, on: queue)
    }
    let isClose =
      routing.tokenCount > 8
      ? halves.map(\.bitPattern) == first.map(\.bitPattern) : relativeError(halves, first) < bound
    guard isClose else {
      throw MoEError(.invalidValue, "both halves give another sum", subject: "\(name), \(routing.tokenCount) tokens")
    }
    return first
  }
}

/// How tokens choose.
enum RoutingKind: CaseIterable {
  case uniform, skewed, same, skipped

  func routing(tokens: Int, topK: Int, experts: Int, seed: UInt64) throws -> Routing {
    var generator = Generator(state: seed)
    var ids: [Int32] = []
    for _ in 0..<tokens {
      switch self {
      case .uniform, .skipped: ids += (0..<Int32(experts)).shuffled(using: &generator).prefix(topK)
      // Half of the slots go to the first expert, and the last have no rows.
      case .skewed: ids += [0] + (1..<Int32(experts / 2)).shuffled(using: &generator).prefix(topK - 1)
      case .same: ids += (0..<Int32(topK)).map { Int32(experts) - 1 - 2 * $0 }
      }
    }
    if self == .skipped { for slot in ids.indices where generator.next() % 3 == 0 { ids[slot] = -1 } }
    // One token has all of its slots, so that there is something to compare.
    if self == .skipped { for slot in 0..<topK { ids[slot] = Int32(slot) } }
    return try Routing(topK: topK, ids: ids, weights: ids.map { _ in Float(generator.next() >> 40) / Float(1 << 24) })
  }
}
