// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// The protocol is enough for a device: everything runs on one whose buffers are no arrays.
@Suite struct FakeDeviceTests {
  @Test(arguments: [
    ExpertsCase(), ExpertsCase(tokens: 17, hasBias: true), ExpertsCase(tokens: 0),
    ExpertsCase(activation: ActivationCase.all.last!, hasBias: true, weightOnInput: true),
  ])
  func experts(test: ExpertsCase) throws {
    let experts = RandomExperts(test.specification, seed: 1)
    let hidden = randomValues(test.tokens * test.hidden, seed: 2)
    let routing = try randomRouting(tokens: test.tokens, topK: test.topK, experts: test.experts, seed: 3)
    func run(_ backend: some Backend) throws -> [Float] {
      try RoutedExperts(backend: backend, storage: experts.store(on: backend)).forward(hidden, routing: routing).routed
    }
    expectClose(try run(FakeDeviceBackend()), try run(ReferenceBackend()), bound: 1e-6)
  }

  @Test(arguments: ["DeepSeek-V3", "Qwen2-MoE", "gpt-oss", "Nemotron-H MoE", "DeepSeek-V4", "LongCat-Flash", "Llama-4"])
  func layers(family: String) throws {
    let fixture = try CheckpointFixture(synthetic: #require(TinyConfigurations.all[family]))
    let hidden = randomValues(7 * 32, seed: 4)
    let input = MoEInput(tokenIDs: [0, 1, 2, 3, 4, 5, 6])
    let (layers, references) = (
      try fixture.load(on: FakeDeviceBackend()).layers, try fixture.load(on: ReferenceBackend()).layers
    )
    for (layer, reference) in zip(layers, references) {
      let (found, expected) = (try layer.forward(hidden, input), try reference.forward(hidden, input))
      #expect(found.routing.ids == expected.routing.ids)
      expectClose(found.output, expected.output, bound: 1e-6)
    }
  }

  /// Gate, router and experts in one queue: hidden states and row numbers in, one download out, and nothing runs before
  /// it.
  @Test func nothingComesBackBetweenGateAndOutput() throws {
    let test = ExpertsCase(experts: 8, tokens: 11, topK: 3)
    let experts = RandomExperts(test.specification, seed: 1)
    let hidden = randomValues(11 * test.hidden, seed: 2)
    let weights = randomValues(8 * test.hidden, seed: 3)
    let bias = randomValues(8, seed: 4)
    let router = try TopKRouter(
      expertCount: 8, topK: 3, recipe: TopKRecipe(scoring: .sigmoid, normalization: .sum(epsilon: 1e-20)))

    let backend = FakeDeviceBackend()
    let storage = try experts.store(on: backend)
    let gate = backend.makeLinear(weights: weights, rows: 8, columns: test.hidden, bias: bias)
    let queue = backend.makeQueue()
    let input = try backend.makeBuffer(hidden, on: queue)
    let logits = backend.makeBuffer(byteCount: 11 * 8 * 4)
    let ids = backend.makeBuffer(byteCount: 11 * 3 * 4)
    let mixing = backend.makeBuffer(byteCount: 11 * 3 * 4)
    let output = backend.makeBuffer(byteCount: hidden.count * 4)
    backend.apply(gate, to: input, tokenCount: 11, into: logits, on: queue)
    try backend.route(
      router, logits: logits, tokenCount: 11, tokenIDs: nil, isPadding: nil, ids: ids, weights: mixing, on: queue)
    try backend.forward(
      storage, hidden: input, ids: ids, weights: mixing, tokenCount: 11, topK: 3, into: output, on: queue)
    #expect(backend.device.downloads == 0 && backend.device.commands == 0, "nothing has run yet")
    let found = try backend.download(output, count: hidden.count, as: Float.self, on: queue)
    #expect(backend.device.uploads == 2 && backend.device.downloads == 1 && backend.device.commands == 6)

    let reference = ReferenceBackend()
    let linear = try reference.makeLinear(weights: weights, rows: 8, columns: test.hidden, bias: bias)
    let routing = try router.route(
      RouterInput(logits: reference.apply(linear, to: hidden, tokenCount: 11), tokenCount: 11))
    let expected = try reference.forward(experts.store(on: reference), hidden: hidden, routing: routing)
    expectClose(found, expected, bound: 1e-6)
  }

  /// The default of the protocol brings the logits to the host, which any router understands.
  @Test func anyRouterRunsThroughTheHost() throws {
    func run(_ backend: some Backend) throws -> Routing {
      let queue = try backend.makeQueue()
      let logits = try backend.makeBuffer([Float](repeating: 0, count: 12), on: queue)
      let ids = try backend.makeBuffer(byteCount: 24)
      let weights = try backend.makeBuffer(byteCount: 24)
      try backend.route(
        try HashRouter(expertCount: 4, topK: 2, table: [0, 1, 2, 3]), logits: logits, tokenCount: 3,
        tokenIDs: [1, 0, 1], isPadding: [false, false, true], ids: ids, weights: weights, on: queue)
      return try Routing(
        topK: 2, ids: backend.download(ids, count: 6, as: Int32.self, on: queue),
        weights: backend.download(weights, count: 6, as: Float.self, on: queue))
    }
    let expected = try Routing(topK: 2, ids: [2, 3, 0, 1, -1, -1], weights: [0.5, 0.5, 0.5, 0.5, 0, 0])
    #expect(try run(FakeDeviceBackend()) == expected)
    #expect(try run(CPUBackend()) == expected)
    #expect(try run(ReferenceBackend()) == expected)
  }
}
