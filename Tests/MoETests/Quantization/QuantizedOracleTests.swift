// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Synchronization
import Tensors
import Testing

/// Every `q_*` and `gguf_*` case of the oracle: its format is recognised, and its experts decode as by the library of the format.
@Suite struct QuantizedOracleTests {
  static let ran = Mutex(0)

  @Test func theSet() {
    let folders = QuantizedCase.folders
    if QuantizedCase.root.isEmpty {
      print("quantised oracle: MOE_ORACLE is not set, no cases")
    } else {
      #expect(!folders.isEmpty, "no q_* or gguf_* cases in \(QuantizedCase.root)")
      print("quantised oracle: \(folders.count) cases from \(QuantizedCase.root)")
    }
  }

  @Test(arguments: QuantizedCase.folders) func decodes(folder: String) throws {
    let quantizedCase = try QuantizedCase(folder)
    var names: Set<String> = []
    let recorded = quantizedCase.oracle.records.filter { $0.name.contains(".dequant.") }
    for record in recorded {
      // layers.0.dequant.experts.0.w1, or layers.0.dequant.gate_up_proj.0 of gpt-oss.
      let parts = record.name.split(separator: ".").map(String.init)
      let expected = try quantizedCase.oracle.floats(of: record)
      let decoded: [Float]
      if let (stem, rows) = quantizedCase.stacked(layer: parts[1], parts.last!) {
        let (scheme, stored) = try quantizedCase.projection(stem, expert: Int(parts[4])!)
        names.insert(scheme.name)
        let decoder = try scheme.decoder(of: stored)
        #expect(decoder.valueFaults() == [])
        decoded = try stride(from: rows.lowerBound, to: rows.upperBound, by: 8).flatMap {
          let row = try decoder.decode(rows: $0..<$0 + 1, columns: 0..<stored.columns)
          if let coded = decoder.coded(rows: $0..<$0 + 1, columns: 0..<stored.columns) {
            #expect(coded.decode().map(\.bitPattern) == row.map(\.bitPattern), "\(record.name): as codes")
          }
          return row
        }
      } else if parts[3] == "experts" {
        let stem = try #require(quantizedCase.stems(expert: Int(parts[4])!).first { $0.hasSuffix("." + parts[5]) })
        let (scheme, stored) = try quantizedCase.projection(stem)
        names.insert(scheme.name)
        let decoder = try scheme.decoder(of: stored)
        decoded = try stride(from: 0, to: stored.rows, by: 8).flatMap {
          try decoder.decode(rows: $0..<$0 + 1, columns: 0..<stored.columns)
        }
      } else {
        let stem = "model.layers.\(parts[1]).mlp.experts.\(parts[3])"
        let (scheme, stored) = try quantizedCase.projection(stem, expert: Int(parts[4])!)
        names.insert(scheme.name)
        let matrix = try scheme.decoder(of: stored).decode()
        decoded = (0..<stored.columns).flatMap { column in
          (0..<stored.rows).map { matrix[$0 * stored.columns + column] }
        }
      }
      compare(decoded, expected, try #require(quantizedCase.tolerance), "\(folder) \(record.name)")
    }
    if recorded.isEmpty { names = try decodesAll(quantizedCase) }
    let done = Self.ran.withLock {
      $0 += 1
      return $0
    }
    print("quantised oracle: \(folder.split(separator: "/").last!): \(names.sorted().joined(separator: "; "))")
    if done == QuantizedCase.folders.count { print("quantised oracle: \(done) of \(done) cases ran") }
  }

  /// DeepSeek-V4's cases record no rows: the experts' outputs are computed from recorded routing.
  private func decodesAll(_ quantizedCase: QuantizedCase) throws -> Set<String> {
    var names: Set<String> = []
    let oracle = quantizedCase.oracle
    let limit = Float(try #require(quantizedCase.checkpoint.configuration["swiglu_limit"]?.number))
    let layers = Set(oracle.records.compactMap { Int($0.name.split(separator: ".")[1]) })
    for layer in layers.sorted() {
      func floats(_ name: String) throws -> [Float] {
        try oracle.floats(of: #require(oracle["layers.\(layer).\(name)"]))
      }
      let (input, weights, expected) = (try floats("input"), try floats("topk_weights"), try floats("routed_output"))
      let ids = try oracle.integers(of: #require(oracle["layers.\(layer).topk_ids"]))
      let (hidden, inner) = (quantizedCase.hidden, quantizedCase.intermediate)
      let topK = ids.count / (input.count / hidden)
      var output = [Double](repeating: 0, count: input.count)
      var experts: [Int: [[Float]]] = [:]
      for expert in Set(ids) {
        experts[expert] = try ["w1", "w3", "w2"].map { leaf in
          let (scheme, stored) = try quantizedCase.projection("layers.\(layer).ffn.experts.\(expert).\(leaf)")
          names.insert(scheme.name)
          return try scheme.decoder(of: stored).decode()
        }
      }
      for slot in ids.indices {
        let token = slot / topK
        let x = input[token * hidden..<(token + 1) * hidden].map(Double.init)
        let matrices = experts[ids[slot]]!
        let gate = product(matrices[0], x).map { min($0, Double(limit)) }
        let up = product(matrices[1], x).map { max(-Double(limit), min($0, Double(limit))) }
        let inside = (0..<inner).map { gate[$0] / (1 + exp(-gate[$0])) * up[$0] }
        for (column, value) in product(matrices[2], inside).enumerated() {
          output[token * hidden + column] += Double(weights[slot]) * value
        }
      }
      let scale = expected.map(\.magnitude).max() ?? 1
      compare(output.map { Float($0) }, expected, (5e-5 * scale, 1e-4), "\(quantizedCase.folder) layer \(layer)")
    }
    #expect(!names.isEmpty)
    return names
  }

  private func product(_ matrix: [Float], _ vector: [Double]) -> [Double] {
    (0..<matrix.count / vector.count).map { row in
      vector.indices.reduce(0) { $0 + Double(matrix[row * vector.count + $1]) * vector[$1] }
    }
  }

  private func compare(
    _ found: [Float], _ expected: [Float], _ tolerance: (absolute: Float, relative: Float), _ what: String
  ) {
    #expect(found.count == expected.count, "\(what): number of values")
    let differing = zip(found, expected).enumerated().filter { _, pair in
      !((pair.0 - pair.1).magnitude <= tolerance.absolute + tolerance.relative * pair.1.magnitude)
    }
    if let first = differing.first {
      Issue.record("\(what): \(differing.count) differ, element \(first.offset) is \(first.element)")
    }
    let exact = zip(found, expected).allSatisfy { $0 == $1 }
    // Of a zero, the libraries keep or lose the sign.
    if !exact { print("quantised oracle: \(what): within its tolerance, not equal") }
  }
}
