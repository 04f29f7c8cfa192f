// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Tensors
import Testing

/// `forward` in two halves, with rows in any order between them: the same bits.
@Suite struct SplitForwardTests {
  @Test(arguments: [false, true], [32, 37])
  func halvesGiveTheWhole(weightOnInput: Bool, hidden: Int) throws {
    let test = ExpertsCase(
      experts: 5, hidden: hidden, intermediate: 21, tokens: 9, topK: 3, hasBias: true, weightOnInput: weightOnInput)
    try check(CPUBackend(), test)
    try check(CPUBackend(instructionSet: .portable), test)
    try check(ReferenceBackend(), test)
    try check(FakeDeviceBackend(), test)
  }

  private func check(_ backend: some Backend, _ test: ExpertsCase) throws {
    let storage = try RandomExperts(test.specification, seed: 1).store(on: backend)
    let hidden = randomValues(test.tokens * test.hidden, seed: 2)
    var routing = try randomRouting(tokens: test.tokens, topK: test.topK, experts: 5, seed: 3)
    for slot in [0, 1, 2, 7, 20] { routing.ids[slot] = -1 }
    let whole = try backend.forward(storage, hidden: hidden, routing: routing)

    // Rows backwards, and one between them that nobody uses.
    let count = routing.ids.count
    let indices = (0..<count).map { Int32($0 < 5 ? count - $0 : count - 1 - $0) }
    let queue = try backend.makeQueue()
    let (ids, weights) = (
      try backend.makeBuffer(routing.ids, on: queue), try backend.makeBuffer(routing.weights, on: queue)
    )
    let places = try backend.makeBuffer(indices, on: queue)
    let rows = try backend.makeBuffer(byteCount: (count + 1) * backend.rowBytes(of: storage))
    try backend.forwardRows(
      storage, hidden: backend.makeBuffer(hidden, on: queue), ids: ids, weights: weights, indices: places,
      tokenCount: test.tokens, topK: test.topK, into: rows, on: queue)
    let output = try backend.makeBuffer(byteCount: hidden.count * 4)
    // Ids of any meaning, as on a rank that has none of these experts.
    let elsewhere = try backend.makeBuffer(routing.ids.map { $0 < 0 ? -1 : $0 + 1000 }, on: queue)
    try backend.combine(
      storage, rows: rows, ids: elsewhere, weights: weights, indices: places, tokenCount: test.tokens, topK: test.topK,
      into: output, on: queue)
    let found = try backend.download(output, count: hidden.count, as: Float.self, on: queue)
    expectSameBits(found, whole, backend.name)
  }
}
