// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

/// A token's bits depend neither on the number of threads, nor on the run, nor on the other tokens.
@Suite struct InvarianceTests {
  static let test = ExpertsCase(experts: 9, hidden: 72, intermediate: 50, tokens: 257, topK: 3, hasBias: true)

  @Test(arguments: InstructionSet.allCases.filter(\.isSupported)) func threads(set: InstructionSet) throws {
    let experts = RandomExperts(Self.test.specification, seed: 1)
    let hidden = randomValues(257 * 72, seed: 2)
    let routing = try randomRouting(tokens: 257, topK: 3, experts: 9, seed: 3)
    let gate = randomValues(9 * 72, seed: 4)
    var outputs: [[Float]] = []
    var logits: [[Float]] = []
    for threads in [1, 2, 3, 7, 2] {
      let backend = CPUBackend(pool: try #require(WorkerPool(threads: threads)), instructionSet: set)
      #expect(backend.pool.threadCount == threads)
      outputs.append(try backend.forward(experts.store(on: backend), hidden: hidden, routing: routing))
      let linear = try backend.makeLinear(weights: gate, rows: 9, columns: 72, bias: nil)
      logits.append(try backend.apply(linear, to: hidden, tokenCount: 257))
    }
    for index in outputs.indices.dropFirst() {
      expectSameBits(outputs[index], outputs[0], "experts, pool \(index)")
      expectSameBits(logits[index], logits[0], "gate, pool \(index)")
    }
  }

  @Test(arguments: InstructionSet.allCases.filter(\.isSupported)) func batch(set: InstructionSet) throws {
    try checkBatch(CPUBackend(instructionSet: set))
  }

  @Test func batchOfTheReference() throws { try checkBatch(ReferenceBackend()) }

  private func checkBatch(_ backend: some Backend) throws {
    let experts = RandomExperts(Self.test.specification, seed: 1)
    let storage = try experts.store(on: backend)
    let hidden = randomValues(257 * 72, seed: 5)
    let routing = try randomRouting(tokens: 257, topK: 3, experts: 9, seed: 6)
    let all = try backend.forward(storage, hidden: hidden, routing: routing)
    let gate = try backend.makeLinear(weights: randomValues(9 * 72, seed: 4), rows: 9, columns: 72, bias: nil)
    let logits = try backend.apply(gate, to: hidden, tokenCount: 257)
    for (first, count) in [(0, 1), (1, 1), (100, 1), (256, 1), (3, 2), (30, 4), (64, 16), (100, 64), (1, 256)] {
      let slots = first * 3..<(first + count) * 3
      let rows = first * 72..<(first + count) * 72
      let part = try Routing(topK: 3, ids: Array(routing.ids[slots]), weights: Array(routing.weights[slots]))
      let alone = try backend.forward(storage, hidden: Array(hidden[rows]), routing: part)
      expectSameBits(alone, Array(all[rows]), "\(count) tokens from \(first)")
      expectSameBits(
        try backend.apply(gate, to: Array(hidden[rows]), tokenCount: count),
        Array(logits[first * 9..<(first + count) * 9]), "gate, \(count) tokens from \(first)")
    }
  }

  /// Calls from several threads at once share the pool and not their scratch memory.
  @Test func concurrentCalls() async throws {
    let backend = CPUBackend()
    let experts = RandomExperts(Self.test.specification, seed: 1)
    let storage = try experts.store(on: backend)
    let hidden = randomValues(17 * 72, seed: 5)
    let routing = try randomRouting(tokens: 17, topK: 3, experts: 9, seed: 6)
    let expected = try backend.forward(storage, hidden: hidden, routing: routing)
    try await withThrowingTaskGroup(of: [Float].self) { group in
      for _ in 0..<8 { group.addTask { try backend.forward(storage, hidden: hidden, routing: routing) } }
      for try await found in group { expectSameBits(found, expected) }
    }
  }
}
