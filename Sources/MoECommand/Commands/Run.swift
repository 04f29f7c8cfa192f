// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEDistributed

/// Runs a layer on a file, or shows what this machine does with a checkpoint.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run an MoE layer: on the hidden states of a file, or as a checked demonstration.",
    discussion: """
      Without a checkpoint: makes a synthetic Granite-3-1B-A400M, loads it, runs it, checks it and prints a table.

      With a checkpoint: the same on it, with random input.

      With --layer, --input and --output: reads hidden_states [tokens, hidden] and writes topk_ids, topk_weights, \
      routed_output, shared_output (where there is one) and output. On many ranks rank 0 writes the same file:

        mpirun -n 4 moe run CKPT --layer 3 --input x.safetensors -o y.safetensors --expert-parallel 4
      """)

  @Argument(help: "A folder, a safetensors file with config.json beside it, or a GGUF file.", completion: .directory)
  var checkpoint: String?

  @Option(help: ArgumentHelp("The layer's number in the model.", valueName: "number"))
  var layer: Int?

  @OptionGroup var hidden: HiddenStatesOptions

  @Option(
    help: ArgumentHelp("The tensor of token ids in the input file, for layers that route by token.", valueName: "name"))
  var tokenIds: String?

  @Option(help: ArgumentHelp("What the experts read, where it is not what the router reads.", valueName: "name"))
  var expertInput: String?

  @Option(help: ArgumentHelp("Router logits in the input file, instead of the gate.", valueName: "name"))
  var routerLogits: String?

  @Option(
    help: ArgumentHelp("A file with topk_ids and topk_weights to replay; any output file will do.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var routing: String?

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The safetensors file to write.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var output: String?

  @OptionGroup var ranks: RankOptions

  @OptionGroup var options: BackendOptions

  @OptionGroup(title: "The memory of the load, as planned and as it was")
  var pictures: PictureOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    let names = [tokenIds, expertInput, routerLogits, routing, output]
    if hidden.input == nil, names.contains(where: { $0 != nil }) {
      throw ValidationError("--token-ids, --expert-input, --router-logits, --routing and --output go with --input")
    }
    guard hidden.input != nil else {
      if try ranks.parallel.grid() != .single {
        throw ValidationError("--tensor-parallel and --expert-parallel go with --input")
      }
      if !pictures.isEmpty { throw ValidationError("--html, --svg and --ascii go with --input") }
      return
    }
    if checkpoint == nil || layer == nil || output == nil {
      throw ValidationError("--input needs a checkpoint, --layer and --output")
    }
    if routing != nil && routerLogits != nil {
      throw ValidationError("--routing and --router-logits exclude each other")
    }
  }

  func run() throws {
    if let input = hidden.input, let checkpoint, let layer, let output {
      let job = LayerJob(
        checkpoint: checkpoint, layer: layer, input: input, tensor: hidden.tensor, tokenIDs: tokenIds,
        expertInput: expertInput, routerLogits: routerLogits, routing: routing, output: output,
        options: options, pictures: pictures, json: json)
      try options.openDevice()
      try ranks.run {
        try job.run(on: options.makeForRank(), by: LocalLoading(), .alone)
      } together: { grid in
        try job.run(
          on: options.makeForRank(), by: ranks.loading(grid),
          TokenSharing(grid: grid, isSpread: ranks.way == .allToAll))
      }
    } else if let checkpoint {
      try Demonstration(options: options, layer: layer, json: json).run(checkpoint, made: nil)
    } else {
      try Demonstration(options: options, layer: layer, json: json).runOnSynthetic()
    }
  }
}
