// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// Calls with arguments that do not fit: an error each, never a trap.
@Suite struct BadCallTests {
  static let test = ExpertsCase(experts: 4, hidden: 6, intermediate: 5)

  /// Everything that takes lengths and ids, on every backend.
  @Test func experts() throws {
    try checkExperts(CPUBackend())
    try checkExperts(ReferenceBackend())
    try checkExperts(FakeDeviceBackend())
  }

  private func checkExperts(_ backend: some Backend) throws {
    var experts = RoutedExperts(
      backend: backend, storage: try RandomExperts(Self.test.specification, seed: 1).store(on: backend))
    let hidden = [Float](repeating: 1, count: 12)
    func refuses(_ ids: [Int32], _ weights: [Float], topK: Int = 1, _ hidden: [Float]) {
      expectFault(.invalidArgument) {
        _ = try experts.forward(hidden, routing: Routing(topK: topK, ids: ids, weights: weights))
      }
    }
    refuses([0, 1], [1, 1], Array(hidden.dropLast()))
    refuses([0, 1], [1, 1], [])
    refuses([0, 1, 2], [1, 1, 1], hidden)
    refuses([0, 1, 2, 3], [1, 1, 1, 1], hidden)
    for id in [Int32(4), -2, .max, .min] { refuses([0, id], [1, 1], hidden) }
    for weight in [Float.nan, .infinity, -.infinity] { refuses([0, 1], [1, weight], hidden) }
    var spoilt = try Routing(topK: 1, ids: [0, 1], weights: [1, 1])
    spoilt.weights = []
    expectFault(.invalidArgument) { _ = try experts.forward(hidden, routing: spoilt) }
    spoilt = try Routing(topK: 1, ids: [0, 1], weights: [1, 1])
    spoilt.ids.append(3)
    expectFault(.invalidArgument) { _ = try experts.forward(hidden, routing: spoilt) }
    #expect(try experts.forward([], routing: Routing(tokenCount: 0, topK: 2)).routed == [])

    expectFault(.invalidArgument, "no router") { _ = try experts.forward(hidden, routerLogits: [0, 0, 0, 0]) }
    experts.router = try TopKRouter(expertCount: 4, topK: 2, recipe: TopKRecipe(scoring: .softmax))
    for count in [0, 4, 7, 9] {
      expectFault(.invalidArgument) { _ = try experts.forward(hidden, routerLogits: Array(repeating: 0, count: count)) }
    }
    expectFault(.invalidArgument) {
      _ = try experts.forward(Array(hidden.dropLast()), routerLogits: Array(repeating: 0, count: 4))
    }
    // A router of more experts than there are.
    experts.router = CustomRouter(expertCount: 9, topK: 1) { (_) throws(MoEError) in
      try Routing(topK: 1, ids: [8, 8], weights: [1, 1])
    }
    expectFault(.invalidArgument) { _ = try experts.forward(hidden, routerLogits: Array(repeating: 0, count: 18)) }
    experts.router = CustomRouter(expertCount: 0, topK: 0) { (_) throws(MoEError) in Routing(tokenCount: 2, topK: 0) }
    expectFault(.invalidArgument) { _ = try experts.forward(hidden, routerLogits: [1]) }
  }

  /// Experts without weights stand in for ids above those with weights.
  @Test func substitutes() throws {
    let random = RandomExperts(Self.test.specification, seed: 1)
    let backend = ReferenceBackend()
    var experts = RoutedExperts(backend: backend, storage: try random.store(on: backend))
    experts.substitutes = [4: .identity, 5: .constant([1, 2, 3, 4, 5, 6])]
    let hidden = randomValues(6, seed: 2)
    let routed = try experts.forward(hidden, routing: Routing(topK: 3, ids: [4, 1, 5], weights: [0.5, 0.25, 2])).routed
    let stored = try backend.forward(
      experts.storage, hidden: hidden, routing: Routing(topK: 1, ids: [1], weights: [0.25]))
    expectClose(routed, (0..<6).map { stored[$0] + 0.5 * hidden[$0] + 2 * Float($0 + 1) }, bound: 1e-6)
    for (ids, weights) in [([6, 1, 4], [1, 1, 1]), ([4, 1, 4], [.nan, 1, 1]), ([-2, 4, 4], [1, 1, 1])]
      as [([Int32], [Float])]
    {
      expectFault(.invalidArgument) {
        _ = try experts.forward(hidden, routing: Routing(topK: 3, ids: ids, weights: weights))
      }
    }
    experts.substitutes = [4: .constant([1, 2])]
    expectFault(.invalidArgument, "expert 4", "6 values") {
      _ = try experts.forward(hidden, routing: Routing(topK: 1, ids: [0], weights: [1]))
    }
  }

  @Test func layers() throws {
    let fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["Qwen2-MoE"]))
    let layer = try fixture.load(on: CPUBackend()).layers[0]
    let hidden = [Float](repeating: 0.5, count: 64)
    let inputs = [
      MoEInput(expertInput: [1]), MoEInput(routerLogits: [1]), MoEInput(routing: Routing(tokenCount: 3, topK: 2)),
      MoEInput(routing: try Routing(topK: 1, ids: [8, 0], weights: [1, 1])), MoEInput(tokenIDs: [1]),
      MoEInput(routing: try Routing(topK: 1, ids: [0, 0], weights: [.nan, 1])), MoEInput(isPadding: [true]),
      MoEInput(residual: []),
    ]
    for input in inputs { expectFault(.invalidArgument) { _ = try layer.forward(hidden, input) } }
    expectFault(.invalidArgument) { _ = try layer.forward(Array(hidden.dropLast())) }
    expectFault(.invalidArgument) { _ = try layer.route(Array(hidden.dropLast())) }
    let nothing = try layer.forward([])
    #expect(nothing.output.isEmpty && nothing.routing.ids.isEmpty)
    // Negative token ids do not matter to a layer that does not read them; all padding is legal.
    let result = try layer.forward(hidden, MoEInput(tokenIDs: [-5, .min], isPadding: [true, true]))
    #expect(result.routing.ids.allSatisfy { $0 == -1 } && result.routed.allSatisfy { $0 == 0 })
    let shared = try #require(layer.shared)
    expectFault(.invalidArgument) { _ = try shared.forward(hidden, tokenCount: 3) }
    expectFault(.invalidArgument) { _ = try shared.forward([], tokenCount: -1) }
  }

  @Test func hashLayers() throws {
    let fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all["DeepSeek-V4"]))
    let layer = try fixture.load(on: ReferenceBackend()).layers[0]
    let hidden = [Float](repeating: 0.5, count: 64)
    expectFault(.invalidArgument, "token ids") { _ = try layer.forward(hidden) }
    for id in [Int32(-1), 24, .max, .min] {
      expectFault(.invalidArgument, "\(id)") { _ = try layer.forward(hidden, MoEInput(tokenIDs: [0, id])) }
    }
  }

  static let impossible: [LayerSpecification] = [
    LayerSpecification(expertCount: -1, hiddenSize: 4, intermediateSize: 4),
    LayerSpecification(expertCount: -1, hiddenSize: 4, intermediateSize: 4),
    LayerSpecification(expertCount: 1, hiddenSize: 0, intermediateSize: 4),
    LayerSpecification(expertCount: 1, hiddenSize: 4, intermediateSize: -4),
    LayerSpecification(expertCount: .max, hiddenSize: .max, intermediateSize: .max),
    LayerSpecification(expertCount: 1 << 24, hiddenSize: 1 << 24, intermediateSize: 1 << 24),
  ]

  @Test(arguments: impossible) func sizes(specification: LayerSpecification) {
    expectFaults([.unsupportedByBackend]) { _ = try CPUBackend().layout(of: specification) }
    expectFaults([.unsupportedByBackend]) { _ = try ReferenceBackend().layout(of: specification) }
  }

  @Test func typesWithoutKernels() {
    for type in [ElementType.f8e4m3, .u8, .i32, .f64] {
      let specification = Self.test.changed { $0.elementType = type }.specification
      expectFaults([.unsupportedByBackend], ["\(type)"]) { _ = try CPUBackend().layout(of: specification) }
    }
  }

  @Test func storing() throws {
    func check(_ backend: some Backend) throws {
      let storage = try backend.allocate(backend.layout(of: Self.test.specification))
      expectFault(.init(rawValue: "missingTensor"), "gate") {
        try backend.store(ExpertParameters(), slot: LocalExpert(rawValue: 0), in: storage)
      }
      let wide = RandomExperts(Self.test.changed { $0.hidden = 7 }.specification, seed: 1)
      expectFault(.shapeMismatch, "[5, 6]", "[5, 7]") { try wide.store(0, on: backend, in: storage, at: 0) }
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
  }

  @Test func matrices() throws {
    func check(_ backend: some Backend) throws {
      for (count, rows, columns, bias) in [
        (5, 2, 3, nil), (6, 2, 3, 1), (0, 0, 3, nil), (6, -2, -3, nil), (1, .max, 2, nil),
      ] as [(Int, Int, Int, Int?)] {
        expectFaults([.invalidArgument], ["matrix"]) {
          _ = try backend.makeLinear(
            weights: Array(repeating: 0, count: count), rows: rows, columns: columns,
            bias: bias.map { Array(repeating: 0, count: $0) })
        }
      }
      let linear = try backend.makeLinear(weights: Array(repeating: 1, count: 6), rows: 2, columns: 3, bias: nil)
      expectFault(.invalidArgument) { _ = try backend.apply(linear, to: [1, 2], tokenCount: 1) }
      expectFault(.invalidArgument) { _ = try backend.apply(linear, to: [1, 2, 3], tokenCount: -1) }
      #expect(try backend.apply(linear, to: [], tokenCount: 0) == [])
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
  }

  /// Buffers that are too small, and sizes that are none.
  @Test func buffers() throws {
    func check(_ backend: some Backend) throws {
      let storage = try RandomExperts(Self.test.specification, seed: 1).store(on: backend)
      let queue = try backend.makeQueue()
      let (hidden, ids) = (
        try backend.makeBuffer([Float](repeating: 1, count: 12), on: queue),
        try backend.makeBuffer([Int32](repeating: 0, count: 2), on: queue)
      )
      let weights = try backend.makeBuffer([Float](repeating: 1, count: 2), on: queue)
      let small = try backend.makeBuffer(byteCount: 44)
      expectFault(.invalidArgument, "too small") {
        try backend.forward(
          storage, hidden: hidden, ids: ids, weights: weights, tokenCount: 2, topK: 1, into: small, on: queue)
      }
      expectFault(.invalidArgument, "too small") {
        try backend.upload([Float](repeating: 1, count: 12), to: small, on: queue)
      }
      expectFault(.invalidArgument, "too small") {
        _ = try backend.download(small, count: 12, as: Float.self, on: queue)
      }
      for (tokens, topK) in [(-1, 1), (1, 0), (1, -1), (.max, 1), (1, .max)] {
        expectFault(.invalidArgument) {
          try backend.forward(
            storage, hidden: hidden, ids: ids, weights: weights, tokenCount: tokens, topK: topK, into: hidden, on: queue
          )
        }
      }
      let bad = try backend.makeBuffer([Int32(0), 4], on: queue)
      let output = try backend.makeBuffer(byteCount: 48)
      expectFault(.invalidArgument) {
        try backend.forward(
          storage, hidden: hidden, ids: bad, weights: weights, tokenCount: 2, topK: 1, into: output, on: queue)
      }
    }
    try check(CPUBackend())
    try check(ReferenceBackend())
  }

  @Test func pools() {
    for threads in [0, -1, Int.max] { #expect(WorkerPool(threads: threads) == nil) }
  }
}
