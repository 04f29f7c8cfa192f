// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

@Suite struct ForwardTests {
  /// Largest difference, as a share of the largest value.
  static func error(_ out: [Float], _ reference: [Double]) -> Double {
    var largest = 1e-3, difference = 0.0
    for (value, expected) in zip(out, reference) {
      largest = max(largest, abs(expected))
      difference = value.isFinite ? max(difference, abs(Double(value) - expected)) : .infinity
    }
    return difference / largest
  }

  static func check(
    _ layer: Layer, _ batch: Layer.Batch, threads: Int = 2, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let reference = layer.reference(batch)
    let pool = Pool(threads: threads)
    for isa in moe_isa.supported {
      let (status, out) = layer.forward(batch, isa: isa, pool: pool)
      #expect(status == .ok, sourceLocation: sourceLocation)
      #expect(error(out, reference) < 1e-5, "\(isa.name)", sourceLocation: sourceLocation)
    }
  }

  @Test(arguments: moe_element.all, moe_activation_function.all)
  func `Every activation, with and without gate, bias and weight on the input`(
    element: moe_element, function: moe_activation_function
  ) {
    for choice in 0..<8 {
      let gated = choice & 1 != 0, biased = choice & 2 != 0
      let layer = Layer(
        hidden: 33, intermediate: 35, element: element, experts: 3, gated: gated, biased: biased, seed: UInt64(choice))
      layer.activation = moe_activation(
        function: function, alpha: 1.702, beta: gated ? 1 : 0, limit: 1.5, limit_after: 1.2, situ_beta: 2,
        situ_linear_beta: biased ? 3 : 0)
      layer.weightOnInput = choice & 4 != 0
      Self.check(layer, .init(layer: layer, tokens: 5, topK: 2, skip: true))
    }
  }

  @Test(arguments: moe_element.all, [1, 2, 3, 5, 7, 64, 257])
  func `Every number of tokens, sizes that fill no panel`(element: moe_element, tokens: Int) {
    let layer = Layer(hidden: 67, intermediate: 41, element: element, experts: 4, biased: true)
    Self.check(layer, .init(layer: layer, tokens: tokens, topK: 2, skip: true))
  }

  @Test(arguments: moe_element.all, [(1, 1), (2, 33), (32, 64), (31, 1), (553, 70), (70, 1037)])
  func `Every size, one block of inputs and several`(element: moe_element, size: (hidden: Int, intermediate: Int)) {
    let layer = Layer(hidden: size.hidden, intermediate: size.intermediate, element: element, experts: 2)
    for tokens in [1, 3, 16] {
      Self.check(layer, .init(layer: layer, tokens: tokens, topK: 1))
    }
  }

  @Test func `All tokens on one expert, and an expert without tokens`() {
    let layer = Layer(hidden: 40, intermediate: 24, element: .bf16, experts: 3)
    var batch = Layer.Batch(layer: layer, tokens: 130, topK: 1)
    batch.ids = batch.ids.map { _ in 1 }
    Self.check(layer, batch)
  }

  @Test func `The same expert twice in one row counts twice`() {
    let layer = Layer(hidden: 40, intermediate: 24, element: .bf16, experts: 3)
    var batch = Layer.Batch(layer: layer, tokens: 4, topK: 3)
    batch.ids = [1, 1, 2, 0, 0, 0, 2, 1, 2, 1, 2, 1]
    Self.check(layer, batch)
  }

  @Test func `Rows without an expert are zero`() {
    let layer = Layer(hidden: 40, intermediate: 24, element: .f16, experts: 3)
    var batch = Layer.Batch(layer: layer, tokens: 3, topK: 2)
    batch.ids = [-1, -1, 0, -1, -1, -1]
    let (status, out) = layer.forward(batch, isa: moe_isa_best(), pool: Pool(threads: 2))
    #expect(status == .ok)
    #expect(out[..<40].allSatisfy { $0 == 0 } && out[80...].allSatisfy { $0 == 0 })
    Self.check(layer, batch)
  }

  @Test func `More rows than one pass takes`() {
    let layer = Layer(hidden: 3, intermediate: 2, element: .f32, experts: 2)
    Self.check(layer, .init(layer: layer, tokens: 4100, topK: 4))
  }

  @Test func `No tokens`() {
    let layer = Layer(hidden: 3, intermediate: 2, element: .f32, experts: 2)
    #expect(
      layer.forward(.init(layer: layer, tokens: 0, topK: 4), isa: moe_isa_best(), pool: Pool(threads: 2)).status == .ok)
  }

  @Test(arguments: [Int32(-2), 3])
  func `An id that is no slot is refused`(id: Int32) {
    let layer = Layer(hidden: 3, intermediate: 2, element: .f32, experts: 3)
    var batch = Layer.Batch(layer: layer, tokens: 2, topK: 1)
    batch.ids[1] = id
    let (status, out) = layer.forward(batch, isa: moe_isa_best(), pool: Pool(threads: 1))
    #expect(status == .badID)
    #expect(out.allSatisfy { $0.isNaN })
  }

  @Test(arguments: moe_element.all)
  func `The number of threads does not change a bit`(element: moe_element) {
    let layer = Layer(hidden: 553, intermediate: 70, element: element, experts: 5, biased: true)
    let batch = Layer.Batch(layer: layer, tokens: 19, topK: 3, skip: true)
    for isa in moe_isa.supported {
      let one = layer.forward(batch, isa: isa, pool: Pool(threads: 1)).out
      for threads in [2, 3, 7] {
        #expect(
          layer.forward(batch, isa: isa, pool: Pool(threads: threads)).out == one, "\(isa.name), \(threads) threads")
      }
    }
  }

  @Test(arguments: moe_element.all)
  func `The other tokens of a batch do not change a bit`(element: moe_element) {
    let layer = Layer(hidden: 553, intermediate: 34, element: element, experts: 3, biased: true)
    let batch = Layer.Batch(layer: layer, tokens: 257, topK: 2)
    let pool = Pool(threads: 2)
    for isa in moe_isa.supported {
      let together = layer.forward(batch, isa: isa, pool: pool).out
      for token in [0, 1, 100, 256] {
        var alone = batch
        alone.tokens = 1
        alone.x = Array(batch.x[token * 553..<(token + 1) * 553])
        alone.ids = Array(batch.ids[token * 2..<token * 2 + 2])
        alone.weights = Array(batch.weights[token * 2..<token * 2 + 2])
        #expect(
          layer.forward(alone, isa: isa, pool: pool).out == Array(together[token * 553..<(token + 1) * 553]),
          "\(isa.name), token \(token)")
      }
    }
  }
}
