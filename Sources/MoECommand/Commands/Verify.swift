// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// Compares a checkpoint's experts with those that it was made from.
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare a checkpoint's experts with those of its original: which are damaged, and how.",
    discussion: """
      Any two formats and layouts, safetensors or GGUF. Each projection of each expert has its signal to noise, and that \
      of rounding alone to its format, which follows from the format's steps and the stored scales. Suspect is what has 6 \
      dB more noise than that, or much more than the experts beside it. What happened to a suspect is tried out: gate and up exchanged, another \
      expert's weights, transposed, a wrong factor, an order of nibbles, and more (docs/verification.md). The status is 1 where \
      anything is suspect.

      With --outputs each layer of both is also run, on the same random tokens or on those of --input, and with the routing \
      of the original; what differs more than rounding the weights explains is suspect, too.
      """)

  @Argument(help: "The checkpoint to verify: a folder, a safetensors or a GGUF file.", completion: .directory)
  var checkpoint: String

  @Option(help: "The checkpoint that it was made from, likewise.", completion: .directory)
  var against: String

  @Option(help: ArgumentHelp("Layers, for example 0-3,7; all when absent.", valueName: "numbers"))
  var layers: NumberSet?

  @Option(help: ArgumentHelp("Routed experts, for example 0-3,7; all when absent.", valueName: "numbers"))
  var experts: NumberSet?

  @Flag(help: "All numbers must be equal.")
  var bitExact = false

  @Option(help: ArgumentHelp("Numbers may be so many steps of the format apart.", valueName: "steps"))
  var ulp: Int?

  @Flag(help: "Run the layers, too, and compare their outputs token by token. Takes the memory of a layer.")
  var outputs = false

  @Option(help: ArgumentHelp("Random tokens to run on (default: 32).", valueName: "count"))
  var tokens: Int?

  @OptionGroup var hidden: HiddenStatesOptions

  @Flag(help: "List every matrix, not only the suspects.")
  var all = false

  @OptionGroup(title: "The error map, layer × expert")
  var pictures: PictureOptions

  @OptionGroup var workers: ThreadOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if bitExact && ulp != nil { throw ValidationError("--bit-exact and --ulp exclude each other") }
    if !outputs && (tokens != nil || hidden.input != nil) {
      throw ValidationError("--tokens and --input go with --outputs")
    }
    if tokens != nil && hidden.input != nil { throw ValidationError("--tokens and --input exclude each other") }
    if let tokens, tokens < 1 { throw ValidationError("--tokens must be positive") }
    if let ulp, ulp < 0 { throw ValidationError("--ulp must not be negative") }
  }

  func run() throws {
    let line = ProgressLine("verifying")
    let start = now()
    let requirement: CheckpointVerification.Requirement = bitExact ? .steps(0) : ulp.map { .steps($0) } ?? .format
    let verification = CheckpointVerification(
      layers: layers.map { Set($0.numbers) }, experts: experts.map { Set($0.numbers) },
      requirement: requirement,
      inputs: try inputs(), hasHistograms: pictures.html != nil)
    let report = try verification.run(
      on: checkpoint, against: against, pool: try workers.pool()
    ) { line.show(bytes: $0, of: $1) }
    line.finish()
    let seconds = now() - start
    print(
      json
        ? report.object(seconds: seconds).serialized(pretty: true)
        : VerifyResult(report, seconds: seconds).text(all: all))
    let name = checkpoint.split(separator: "/").last.map(String.init) ?? checkpoint
    try pictures.draw(report.picture(title: name), isQuiet: json)
    if !report.isFaithful { throw ExitCode.failure }
  }

  private func inputs() throws -> CheckpointVerification.Inputs? {
    guard outputs else { return nil }
    guard let input = hidden.input else { return .random(tokens: tokens ?? 32) }
    let model = try MoEModel(opening: against, layers: layers.map { Set($0.numbers) })
    let width = model.layers.first?.hiddenSize ?? 0
    return .given(try InputFile(input).matrix(hidden.tensor, width: width, what: "hidden states").values)
  }
}
