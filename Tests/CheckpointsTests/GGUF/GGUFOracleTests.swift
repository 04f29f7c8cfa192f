// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import Testing

/// The files that gguf-py wrote, against what gguf-py decodes: all `gguf_*` cases of the folder `MOE_ORACLE`.
@Suite struct GGUFOracleTests {
  static let folder = ProcessInfo.processInfo.environment["MOE_ORACLE"]

  static let cases: [String] = {
    guard let folder else { return [] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { $0.hasPrefix("gguf_") }.sorted()
  }()

  /// Rows 0, 8, 16 … of expert 0, as `dequant.experts.0.*` hold them; bit for bit, though the case allows 1e-6.
  @Test(.enabled(if: folder != nil), arguments: cases)
  func decodes(name: String) throws {
    let folder = "\(Self.folder!)/\(name)"
    let model = try TensorCatalog(opening: folder)
    #expect(model.warnings == ["not part of the checkpoint, and ignored: oracle.safetensors"])
    let oracle = try TensorCatalog(opening: "\(folder)/oracle.safetensors")
    let description = try JSONValue(
      parsing: [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(folder)/case.json"))), file: "case.json")
    for (tensor, type) in try #require(description["moe_tensors"]?.object) {
      #expect(model[tensor]?.typeName == type.string, "\(tensor)")
    }
    var compared = 0
    for record in oracle.records where record.name.contains(".dequant.experts.") {
      let parts = record.name.split(separator: ".")  // layers.N.dequant.experts.E.gate
      let (layer, expert, projection) = (parts[1], try #require(Int(parts[4])), parts[5])
      let fused = model["blk.\(layer).ffn_gate_up_exps.weight"]
      let separate = model["blk.\(layer).ffn_\(projection)_exps.weight"]
      let tensor = try #require(separate ?? fused)
      let (height, length) = (tensor.logicalShape[1], tensor.logicalShape[2])
      let outputs = height / (separate == nil ? 2 : 1)
      let first = expert * height + (separate == nil && projection == "up" ? outputs : 0)
      let rows = try model.floats(of: tensor)
      let values = stride(from: first, to: first + outputs, by: 8).flatMap { rows[$0 * length..<($0 + 1) * length] }
      let expected = try oracle.floats(of: record)
      #expect(values.map(\.bitPattern) == expected.map(\.bitPattern), "\(record.name): \(tensor.typeName)")
      compared += 1
    }
    #expect(compared >= 3)
  }
}
