// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// Both backends against plain loops, for every activation and the shapes that go wrong.
@Suite struct BackendTests {
  static let cases: [ExpertsCase] =
    ActivationCase.all.flatMap { activation in
      [
        ExpertsCase(activation: activation),
        ExpertsCase(activation: activation, hidden: 33, intermediate: 64, tokens: 5, hasBias: true),
        ExpertsCase(activation: activation, hidden: 7, intermediate: 5, weightOnInput: true),
        ExpertsCase(activation: activation, hidden: 32, hasBias: true, weightOnInput: true, elementType: .f16),
      ]
    }
    + [0, 1, 3, 64, 257].map { ExpertsCase(hidden: 24, intermediate: 20, tokens: $0) }
    + [(1, 1), (1, 33), (31, 32), (32, 31), (65, 95), (129, 3)].map { ExpertsCase(hidden: $0, intermediate: $1) }
    + [ElementType.f32, .f16, .bf16].map { ExpertsCase(tokens: 9, hasBias: true, elementType: $0) }
    + [(1, 1), (4, 4), (40, 8)].map { ExpertsCase(experts: $0, hidden: 16, intermediate: 16, tokens: 4, topK: $1) }

  @Test(arguments: cases) func outputs(of test: ExpertsCase) throws {
    let experts = RandomExperts(test.specification, seed: 11)
    let hidden = randomValues(test.tokens * test.hidden, seed: 12)
    let routing = try randomRouting(tokens: test.tokens, topK: test.topK, experts: test.experts, seed: 13)
    let expected = experts.expected(hidden, routing, activation: test.activation.formula)
    try check(ReferenceBackend(), experts, hidden, routing, expected, bound: 1e-7)
    for set in InstructionSet.allCases where set.isSupported {
      try check(CPUBackend(instructionSet: set), experts, hidden, routing, expected, bound: 1e-5)
    }
  }

  private func check(
    _ backend: some Backend, _ experts: RandomExperts, _ hidden: [Float], _ routing: Routing, _ expected: [Float],
    bound: Double
  ) throws {
    let storage = try experts.store(on: backend)
    let found = try backend.forward(storage, hidden: hidden, routing: routing)
    expectClose(found, expected, bound: bound, backend.name)
  }

  /// Routings that a model may give and a kernel may stumble over.
  static let routings: [String: @Sendable (_ token: Int, _ slot: Int) -> (id: Int32, weight: Float)] = [
    "one expert for all": { _, slot in (slot == 0 ? 3 : -1, 0.5) },
    "an expert twice": { token, slot in (Int32(token % 4), 0.25 * Float(slot + 1)) },
    "no expert at all": { _, _ in (-1, 0) },
    "every second token": { token, slot in (token % 2 == 0 ? Int32(slot) : -1, 0.75) },
    "weights of zero": { token, slot in (Int32((token + slot) % 4), 0) },
    "negative weights": { token, slot in (Int32((token + slot) % 4), -1.5) },
    "skipped in between": { token, slot in (slot == 1 ? -1 : Int32((token + slot) % 4), 0.3) },
  ]

  @Test(arguments: routings.keys.sorted(), [false, true])
  func routing(name: String, weightOnInput: Bool) throws {
    let test = ExpertsCase(experts: 6, tokens: 21, topK: 3, hasBias: true, weightOnInput: weightOnInput)
    let experts = RandomExperts(test.specification, seed: 21)
    let hidden = randomValues(test.tokens * test.hidden, seed: 22)
    var routing = Routing(tokenCount: test.tokens, topK: 3)
    for token in 0..<test.tokens {
      for (index, slot) in routing.slots(of: token).enumerated() {
        (routing.ids[slot], routing.weights[slot]) = Self.routings[name]!(token, index)
      }
    }
    let expected = experts.expected(hidden, routing, activation: test.activation.formula)
    try check(ReferenceBackend(), experts, hidden, routing, expected, bound: 1e-7)
    try check(CPUBackend(), experts, hidden, routing, expected, bound: 1e-5)
  }

  /// Every output element is written, whatever the buffer held; what is not routed becomes 0.
  @Test(arguments: [1, 8, 70]) func poisonedOutput(tokens: Int) throws {
    let test = ExpertsCase(hidden: 45, tokens: tokens)
    let experts = RandomExperts(test.specification, seed: 31)
    let hidden = randomValues(tokens * 45, seed: 32)
    var routing = try randomRouting(tokens: tokens, topK: 2, experts: 5, seed: 33)
    for slot in routing.slots(of: tokens - 1) {
      routing.ids[slot] = -1
      routing.weights[slot] = 0
    }
    let expected = experts.expected(hidden, routing, activation: test.activation.formula)
    try checkPoisoned(CPUBackend(), experts, hidden, routing, expected)
    try checkPoisoned(ReferenceBackend(), experts, hidden, routing, expected)
  }

  private func checkPoisoned(
    _ backend: some Backend, _ experts: RandomExperts, _ hidden: [Float], _ routing: Routing, _ expected: [Float]
  ) throws {
    let storage = try experts.store(on: backend)
    let queue = try backend.makeQueue()
    // One row more than needed, which must stay as it is.
    let poison = [Float](repeating: .nan, count: hidden.count + 45)
    let output = try backend.makeBuffer(poison, on: queue)
    for _ in 0..<2 {
      try backend.forward(
        storage, hidden: backend.makeBuffer(hidden, on: queue), ids: backend.makeBuffer(routing.ids, on: queue),
        weights: backend.makeBuffer(routing.weights, on: queue), tokenCount: routing.tokenCount, topK: routing.topK,
        into: output, on: queue)
      let found = try backend.download(output, count: poison.count, as: Float.self, on: queue)
      expectClose(Array(found[..<hidden.count]), expected, backend.name)
      #expect(found[(hidden.count - 45)..<hidden.count].allSatisfy { $0 == 0 })
      #expect(found[hidden.count...].allSatisfy { $0.isNaN })
    }
  }

  @Test(arguments: [(1, 1), (33, 40), (64, 32), (5, 130)], [0, 1, 9]) func linear(size: (Int, Int), tokens: Int) throws
  {
    let (rows, columns) = size
    let weights = randomValues(rows * columns, seed: 41)
    let bias = randomValues(rows, seed: 42)
    let input = randomValues(tokens * columns, seed: 43)
    let expected = (0..<tokens * rows).map { index in
      let (token, row) = (index / rows, index % rows)
      return Float(
        (0..<columns).reduce(Double(bias[row])) {
          $0 + Double(weights[row * columns + $1]) * Double(input[token * columns + $1])
        })
    }
    func check(_ backend: some Backend, _ bound: Double) throws {
      let linear = try backend.makeLinear(weights: weights, rows: rows, columns: columns, bias: bias)
      #expect(backend.rowCount(of: linear) == rows)
      expectClose(try backend.apply(linear, to: input, tokenCount: tokens), expected, bound: bound, backend.name)
    }
    try check(ReferenceBackend(), 1e-7)
    for set in InstructionSet.allCases where set.isSupported { try check(CPUBackend(instructionSet: set), 1e-5) }
  }
}
