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
    print(json ? model.object.serialized(pretty: true) : Self.text(model))
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
    let bits = layer.bitsPerWeight
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
}
