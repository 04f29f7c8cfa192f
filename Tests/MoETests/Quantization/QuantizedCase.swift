// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import Testing

/// A quantised checkpoint with rows of some of its experts as the library of its format decodes them.
struct QuantizedCase: Sendable {
  let folder: String
  let checkpoint: Checkpoint
  let settings: QuantizationSettings
  let oracle: TensorCatalog
  /// Of decoded rows; nil where the case has none.
  let tolerance: (absolute: Float, relative: Float)?
  let hidden: Int
  let intermediate: Int

  init(_ folder: String) throws {
    self.folder = folder
    checkpoint = try Checkpoint(opening: folder)
    let modelOpt = try? RandomAccessFile.contents(of: folder + "/hf_quant_config.json", limit: 1 << 24)
    settings = try QuantizationSettings(
      checkpoint.configuration, file: checkpoint.configurationPath,
      modelOpt: try modelOpt.map { try JSONValue(parsing: $0) })
    oracle = try TensorCatalog(opening: folder + "/oracle.safetensors")
    let description = try JSONValue(
      parsing: RandomAccessFile.contents(of: folder + "/case.json", limit: 1 << 24), file: folder + "/case.json")
    tolerance = description["tolerance"]?["dequant_tensor_float32"].map {
      (Float($0["atol"]!.number!), Float($0["rtol"]!.number!))
    }
    let configuration = checkpoint.configuration
    hidden = try #require(configuration["hidden_size"]?.integer)
    intermediate = try #require((configuration["moe_intermediate_size"] ?? configuration["intermediate_size"])?.integer)
  }

  /// The logical size by the last part of a name.
  func size(of projection: String) -> (rows: Int, columns: Int) {
    if projection.hasSuffix("w2") || projection.contains("down") { return (hidden, intermediate) }
    return projection.contains("gate_up") ? (2 * intermediate, hidden) : (intermediate, hidden)
  }

  /// The scheme of a projection, and what is stored of an expert; all its headers are right.
  func projection(_ stem: String, expert: Int? = nil) throws -> (any QuantizationScheme, StoredProjection) {
    let catalog = checkpoint.catalog
    let found = ProjectionTensors(stem, in: catalog, isStacked: expert != nil)
    let scheme = try QuantizationRegistry.standard.scheme(of: found, settings)
    let (rows, columns) = size(of: stem)
    let experts = expert == nil ? nil : found.tensors.values.first?.shape[0]
    #expect(scheme.faults(in: found, rows: rows, columns: columns, experts: experts) == [])
    var stored: [TensorRole: StoredTensor] = [:]
    for tensor in scheme.tensors {
      guard let (suffix, header) = found.first(tensor.suffixes) else { continue }
      let record = try #require(catalog[stem + suffix])
      var bytes = try catalog.bytes(of: record)
      if let expert, let experts {
        let size = bytes.count / experts
        bytes = Array(bytes[expert * size..<(expert + 1) * size])
      }
      stored[tensor.role] = StoredTensor(header.elementType, found.shape(header), bytes)
    }
    return (scheme, StoredProjection(stem, rows: rows, columns: columns, stored))
  }

  /// The stacked experts of a GGUF layer, and which rows of theirs are the projection's.
  func stacked(layer: String, _ projection: String) -> (stem: String, rows: Range<Int>)? {
    func name(_ projection: String) -> String { "blk.\(layer).ffn_\(projection)_exps" }
    if checkpoint.catalog[name(projection) + ".weight"] != nil {
      return (name(projection), 0..<(projection == "down" ? hidden : intermediate))
    }
    guard checkpoint.catalog[name("gate_up") + ".weight"] != nil else { return nil }
    return (name("gate_up"), projection == "gate" ? 0..<intermediate : intermediate..<2 * intermediate)
  }

  /// The experts' projections of the first layer with quantised experts: `…experts.0.up_proj`.
  func stems(expert: Int) -> [String] {
    let marker = ".experts.\(expert)."
    let names = checkpoint.catalog.records.map(\.name).filter { $0.contains(marker) && !$0.contains("mtp") }
    let stems = names.map { (name: String) -> String in
      let end = name.range(of: marker)!.upperBound
      return String(name[..<end]) + String(name[end...].prefix { $0 != "." })
    }
    return Set(stems).sorted()
  }
}

extension QuantizedCase {
  /// The folder of cases that `MOE_ORACLE` names.
  static let root = ProcessInfo.processInfo.environment["MOE_ORACLE"] ?? ""

  static let folders: [String] = {
    guard !root.isEmpty else { return [] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
    return names.filter { $0.hasPrefix("q_") || $0.hasPrefix("gguf_") }.sorted().map { root + "/" + $0 }
  }()
}
