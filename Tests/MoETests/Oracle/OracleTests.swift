// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Synchronization
import Testing

/// Every case of the oracle on both backends: ids as sets, weights, routed, shared and block output.
@Suite struct OracleTests {
  static let ran = Mutex(0)

  @Test func theSetIsThere() {
    #expect(
      !Oracle.folders.isEmpty,
      "no cases in \(Oracle.folder.path): a set that is named by MOE_ORACLE must be there, and so must the fixtures")
    print("oracle: \(Oracle.folders.count) cases from \(Oracle.folder.path)")
  }

  @Test(arguments: Oracle.folders, ["reference", "cpu"])
  func outputs(folder: String, backend: String) throws {
    let oracleCase = try OracleCase(folder)
    if backend == "cpu" {
      try check(oracleCase, on: CPUBackend())
    } else {
      try check(oracleCase, on: ReferenceBackend())
    }
    let done = Self.ran.withLock {
      $0 += 1
      return $0
    }
    if done == 2 * Oracle.folders.count { print("oracle: \(done) of \(2 * Oracle.folders.count) runs passed") }
  }

  private func check(_ oracleCase: OracleCase, on backend: some Backend) throws {
    let model = try MoEModel(opening: oracleCase.folder)
    #expect(model.layers.map(\.index) == oracleCase.layers)
    for index in oracleCase.layers {
      let recording = try oracleCase.recording(of: index)
      let layer = try MoELayer(model.layer(index), of: model, on: backend)
      let hidden = try #require(try recording.floats("input"))
      let input = MoEInput(
        expertInput: try recording.floats("expert_input"), tokenIDs: try recording.integers("input_ids"))
      let result = try layer.forward(hidden, input)

      let expected = try Routing(
        topK: recording.topK, ids: #require(try recording.integers("topk_ids")),
        weights: #require(try recording.floats("topk_weights")))
      try compare(result.routing, expected, oracleCase, "layer \(index)")
      let routed = try #require(try recording.floats("routed_output"))
      let block = try #require(try recording.floats("block_output"))
      compare(result.routed, routed, oracleCase, "layer \(index) routed output")
      compare(result.output, block, oracleCase, "layer \(index) block output")
      if let shared = try recording.floats("shared_output") {
        // transformers' Llama-4 adds the routed output into the shared one in place, so that what was recorded as
        // shared output is the block's.
        let isSum = shared == block
        let expected = isSum ? zip(block, routed).map { $0 - $1 } : shared
        compare(try #require(result.shared), expected, oracleCase, "layer \(index) shared output")
      } else {
        #expect(result.shared == nil)
      }
    }
  }

  /// Ids as sets with the weight that belongs to each.
  private func compare(_ found: Routing, _ expected: Routing, _ oracleCase: OracleCase, _ what: String) throws {
    try #require(found.tokenCount == expected.tokenCount && found.topK == expected.topK)
    for token in 0..<found.tokenCount {
      let slots = found.slots(of: token)
      let pairs = { (routing: Routing) in slots.map { (routing.ids[$0], routing.weights[$0]) }.sorted { $0.0 < $1.0 } }
      let (found, expected) = (pairs(found), pairs(expected))
      #expect(found.map(\.0) == expected.map(\.0), "\(what) token \(token) expert ids")
      compare(found.map(\.1), expected.map(\.1), oracleCase, "\(what) token \(token) weights")
    }
  }

  private func compare(_ found: [Float], _ expected: [Float], _ oracleCase: OracleCase, _ what: String) {
    #expect(found.count == expected.count, "\(what): number of values")
    let worst = zip(found, expected).enumerated().map { (index: $0, excess: excess($1, oracleCase)) }
      .max { $0.excess < $1.excess }
    guard let worst, !(worst.excess <= 0) else { return }
    Issue.record(
      "\(oracleCase.name), \(what): element \(worst.index) is \(found[worst.index]), not \(expected[worst.index])")
  }

  /// By how much a value misses its tolerance; NaN counts as infinite.
  private func excess(_ pair: (Float, Float), _ oracleCase: OracleCase) -> Double {
    let (found, expected) = (Double(pair.0), Double(pair.1))
    let excess = abs(found - expected) - (oracleCase.absolute + oracleCase.relative * abs(expected))
    return excess.isNaN ? .infinity : excess
  }
}
