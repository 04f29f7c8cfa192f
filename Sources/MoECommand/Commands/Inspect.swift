// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// What is in a checkpoint, from its headers alone.
struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a checkpoint's MoE layers: experts, sizes, router, format, bytes. Reads headers only.")

  @Argument(help: "A folder, a safetensors file with config.json beside it, or a GGUF file.", completion: .directory)
  var checkpoint: String

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let model = try MoEModel(opening: checkpoint)
    print(json ? Self.object(model).serialized(pretty: true) : Self.text(model))
  }

  /// Layers that differ in nothing but their number share a section.
  private static func text(_ model: MoEModel) -> String {
    let catalog = model.checkpoint.catalog
    let groups = Dictionary(grouping: model.layers, by: facts).sorted { $0.value[0].index < $1.value[0].index }
    var table = TextTable(["", ""], leftAligned: [0, 1])
    table.append(["checkpoint", model.checkpoint.name])
    table.append(["family", model.architecture])
    table.append([
      "files", "\(catalog.files.count), \(catalog.records.count) tensors, \(Format.bytes(catalog.byteCount))",
    ])
    for (facts, layers) in groups {
      let bytes = layers.reduce(0) { $0 + $1.experts.storedBytes }
      table.append(["", ""])
      table.append(["MoE layers", "\(layers.map(\.index).ranges): \(Format.bytes(bytes)) of experts"])
      for row in facts.rows { table.append([row.name, row.value]) }
    }
    return (table.text.drop { $0.isNewline } + model.notes.map { "\nnote: \($0)" }.joined())
  }

  /// What is shown of a layer, without its number.
  private struct Facts: Hashable {
    var rows: [Row]
    struct Row: Hashable {
      var name: String
      var value: String
    }
  }

  private static func facts(_ layer: MoEModel.Layer) -> Facts {
    let specification = layer.specification
    let bits = bitsPerWeight(layer)
    let perExpert = layer.experts.storedBytes / specification.expertCount
    var rows = [
      ("experts", "\(specification.expertCount), top \(layer.topK)"),
      (
        "sizes",
        "hidden \(layer.hiddenSize)"
          + (specification.hiddenSize == layer.hiddenSize ? "" : " (\(specification.hiddenSize) in the experts)")
          + ", intermediate \(specification.intermediateSize), \(Format.bytes(perExpert)) each"
      ),
      ("router", "\(layer.plan)"),
      ("activation", "\(specification.activation)" + (specification.hasBias ? ", with biases" : "")),
      (
        "format",
        "\(layer.experts.format), \(layer.experts.layoutName), \(Format.short(bits)) bits per weight"
          + (layer.experts.activationFormat.map { ", \($0)" } ?? "")
      ),
    ]
    if let shared = layer.shared {
      rows.append(
        (
          "shared",
          "intermediate \(shared.experts.specification.intermediateSize)" + (shared.gate == nil ? "" : ", gated")
        ))
    }
    return Facts(rows: rows.map { Facts.Row(name: $0.0, value: $0.1) })
  }

  /// Stored bits, scales included, over weights.
  private static func bitsPerWeight(_ layer: MoEModel.Layer) -> Double {
    let weights = layer.specification.expertCount * layer.specification.parametersPerExpert
    return 8 * Double(layer.experts.storedBytes) / Double(weights)
  }

  private static func object(_ model: MoEModel) -> JSONValue {
    let layers = model.layers.map { layer -> JSONValue in
      let specification = layer.specification
      var object: [String: JSONValue] = [
        "index": .integer(layer.index), "prefix": .string(layer.prefix),
        "experts": .integer(specification.expertCount), "top_k": .integer(layer.topK),
        "hidden_size": .integer(layer.hiddenSize), "expert_hidden_size": .integer(specification.hiddenSize),
        "intermediate_size": .integer(specification.intermediateSize), "router": .string("\(layer.plan)"),
        "activation": .string("\(specification.activation)"), "biases": .bool(specification.hasBias),
        "format": .string(layer.experts.format),
        "declared_activations": .string("\(specification.activations)"),
        "bits_per_weight": .number(bitsPerWeight(layer)),
        "layout": .string(layer.experts.layoutName),
        "expert_bytes": .integer(layer.experts.storedBytes),
      ]
      if let shared = layer.shared {
        object["shared_intermediate_size"] = .integer(shared.experts.specification.intermediateSize)
      }
      return .object(object)
    }
    return [
      "schema": 1, "command": "inspect", "path": .string(model.checkpoint.path), "name": .string(model.checkpoint.name),
      "family": .string(model.architecture), "files": .integer(model.checkpoint.catalog.files.count),
      "tensors": .integer(model.checkpoint.catalog.records.count),
      "bytes": .integer(model.checkpoint.catalog.byteCount),
      "layers": .array(layers), "notes": .array(model.notes.map { .string($0) }),
    ]
  }
}
