// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser

/// A layer's input from a file.
struct HiddenStatesOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("A safetensors file with the hidden states to run on, [tokens, hidden].", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var input: String?

  @Option(help: ArgumentHelp("The tensor of hidden states in the input file.", valueName: "name"))
  var tensor = "hidden_states"
}
