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
      templates). Weights that are already values of the new format come back unchanged. What is written appears when all \
      of it is there; after an error nothing is left.

      An output that ends in .gguf is a GGUF file, and so is what has a type of ggml; other types make a folder of \
      safetensors. From one to the other every tensor gets its name there, and a model with tensors that have none is \
      refused: --experts-only leaves them out.

      Types: \(WeightType.allNames.joined(separator: ", ")).
      """)

  @Argument(
    help: "A checkpoint: a folder, a GGUF file, or a safetensors file with config.json beside it.",
    completion: .directory)
  var checkpoint: String

  @Option(
    name: .shortAndLong, help: "The folder or the .gguf file to write, which is not there yet.",
    completion: .directory)
  var output: String

  @Option(help: ArgumentHelp("The new type of the experts' weights.", valueName: "type"))
  var to: WeightType

  @Option(help: ArgumentHelp("MoE layers to convert, for example 0-3,7; all when absent.", valueName: "numbers"))
  var layers: NumberSet?

  @Flag(help: "Leave out what is not part of an MoE block.")
  var expertsOnly = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let model = try MoEModel(opening: checkpoint)
    let conversion = try CheckpointConversion(
      of: model, to: to, in: output.hasSuffix(".gguf") ? .gguf : nil, layers: layers.map { Set($0.numbers) },
      expertsOnly: expertsOnly)
    for note in model.notes + conversion.notes { Console.note(note) }
    let line = ProgressLine("writing \(output)")
    let start = now()
    try write(conversion) { line.show(bytes: $0, of: $1) }
    line.finish()
    let seconds = now() - start
    if json {
      let object: JSONValue = [
        "schema": 1, "command": "convert", "checkpoint": .string(checkpoint), "path": .string(output),
        "dtype": .string("\(to)"), "tensors": .integer(conversion.tensorCount),
        "bytes": .integer(conversion.byteCount), "seconds": .number(seconds),
        "notes": .array((model.notes + conversion.notes).map { .string($0) }),
      ]
      print(object.serialized(pretty: true))
    } else {
      print(
        "\(output): experts in \(to), \(conversion.tensorCount) tensors, \(Format.bytes(conversion.byteCount)) "
          + "(\(Format.bytes(model.checkpoint.catalog.byteCount)) before), \(Format.fixed(seconds, 1)) s")
    }
  }

  private func write(_ conversion: CheckpointConversion, _ progress: @escaping @Sendable (Int, Int) -> Void) throws {
    if output.hasSuffix(".gguf") {
      try Folder.refuseExisting(output)
      return try conversion.write(to: output, progress: progress)
    }
    try Folder.writeWhole(output) { folder in
      let isGGUF = conversion.container == .gguf
      try conversion.write(to: isGGUF ? "\(folder)/model-\(to).gguf" : folder, progress: progress)
      if !isGGUF { try Folder.copyCompanions(from: checkpoint, to: folder) }
    }
  }
}
