// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import Glibc
import MoE
import MoEInspection
import Tensors

/// Makes a checkpoint of a model's shapes.
struct Synth: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a checkpoint with a known model's exact shapes and random weights.",
    discussion: """
      Only the tensors of the MoE blocks are written: experts, gate, shared experts.

      Presets: \(ModelPreset.all.map(\.name).joined(separator: ", ")).
      """)

  @Argument(help: "A model of the list below.", completion: .list(ModelPreset.all.map(\.name)))
  var preset: String

  @Option(
    name: .shortAndLong, help: "The folder to write; made if it is not there, refused if it is not empty.",
    completion: .directory)
  var output: String

  @Option(help: ArgumentHelp("MoE layers (default: all of the model's).", valueName: "count"))
  var layers: Int?

  @Option(help: ArgumentHelp("Routed experts (default: the model's).", valueName: "count"))
  var experts: Int?

  @Option(help: ArgumentHelp("The seed of the weights.", valueName: "number"))
  var seed: UInt64 = 1

  @Option(
    help: ArgumentHelp(
      "The type of the experts' weights, N a group size; types of ggml are written as GGUF, the others as safetensors.",
      valueName: "type"))
  var dtype = WeightType.bf16

  @Flag(help: "Write headers only: the weights are zeros, holes of true size that take no room.")
  var sparse = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    guard let preset = ModelPreset(named: preset) else {
      throw MoEError(
        .invalidArgument, "unknown preset", subject: preset,
        expected: "one of \(ModelPreset.all.map(\.name).joined(separator: ", "))")
    }
    let model = try SyntheticModel(
      preset, layerCount: layers, expertCount: experts, type: dtype)
    let line = ProgressLine("writing")
    let start = now()
    try Folder.writeWhole(output) { folder in
      defer { line.finish() }
      try model.write(to: folder, seed: seed, sparse: sparse) { line.show(bytes: $0, of: $1) }
    }
    let seconds = now() - start
    if json {
      let object: JSONValue = [
        "schema": 1, "command": "synth", "preset": .string(preset.name), "path": .string(output),
        "dtype": .string("\(dtype)"),
        "tensors": .integer(model.tensors.count), "bytes": .integer(model.byteCount), "sparse": .bool(sparse),
        "seconds": .number(seconds),
      ]
      print(object.serialized(pretty: true))
    } else {
      print(
        "\(output): \(preset.name), \(model.tensors.count) tensors, \(Format.bytes(model.byteCount))"
          + (sparse ? " of holes" : "") + ", \(Format.fixed(seconds, 1)) s")
    }
  }
}
