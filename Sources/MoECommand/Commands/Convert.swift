// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection

/// Writes a checkpoint again with its experts in another format.
struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a checkpoint again with its routed experts in another format.",
    discussion: """
      Every other tensor is carried over byte for byte, and so are the small files beside the weights (tokenizer, \
      templates). Weights that are already values of the new format come back unchanged. The folder appears when all of \
      it is written; after an error nothing is left.

      Types: \(WeightType.allNames.joined(separator: ", ")).
      """)

  @Argument(help: "A checkpoint: a folder, or a safetensors file with config.json beside it.", completion: .directory)
  var checkpoint: String

  @Option(name: .shortAndLong, help: "The folder to write, which is not there yet.", completion: .directory)
  var output: String

  @Option(help: ArgumentHelp("The new type of the experts' weights.", valueName: "type"))
  var to: WeightType

  @Option(help: ArgumentHelp("MoE layers to convert, for example 0-3,7; all when absent.", valueName: "numbers"))
  var layers: NumberSet?

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let model = try MoEModel(opening: checkpoint)
    let conversion = try CheckpointConversion(of: model, to: to, layers: layers.map { Set($0.numbers) })
    for note in model.notes + conversion.notes { Console.note(note) }
    let line = ProgressLine("writing \(output)")
    let start = now()
    try Folder.writeWhole(output) { folder in
      try conversion.write(to: folder) { line.show(bytes: $0, of: $1) }
      try Folder.copyCompanions(from: checkpoint, to: folder)
    }
    line.finish()
    let seconds = now() - start
    if json {
      let object: JSONValue = [
        "schema": 1, "command": "convert", "checkpoint": .string(checkpoint), "path": .string(output),
        "dtype": .string("\(to)"), "tensors": .integer(conversion.tensors.count),
        "bytes": .integer(conversion.byteCount), "seconds": .number(seconds),
        "notes": .array((model.notes + conversion.notes).map { .string($0) }),
      ]
      print(object.serialized(pretty: true))
    } else {
      print(
        "\(output): experts in \(to), \(conversion.tensors.count) tensors, \(Format.bytes(conversion.byteCount)) "
          + "(\(Format.bytes(model.checkpoint.catalog.byteCount)) before), \(Format.fixed(seconds, 1)) s")
    }
  }
}
