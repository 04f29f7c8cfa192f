// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import Tensors

/// Times the routed experts of one layer against the ceilings of the machine.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time the routed experts of one layer, as shares of what the machine can do.",
    discussion: """
      The ceilings (memory read, fp32 multiply-add) are measured in the same process on the same threads. Weights are \
      random and rotate over copies of the layer, so that one token's experts come from memory and not from a cache. \
      Times are minima; the median stands beside them.
      """)

  @Argument(
    help: "A model whose sizes to take, as in 'moe synth --help'.", completion: .list(ModelPreset.all.map(\.name)))
  var preset: String?

  @Option(help: ArgumentHelp("Sizes of the layer: hidden, intermediate, experts, top-k.", valueName: "H,I,E,k"))
  var shape: ExpertShape?

  @Option(help: ArgumentHelp("The type of the weights, any of 'moe synth --dtype'.", valueName: "type"))
  var dtype = WeightType.bf16

  @Option(help: ArgumentHelp("Batch sizes.", valueName: "list"))
  var tokens = TokenCounts([1, 8, 64, 512])

  @Option(
    help: ArgumentHelp("Which experts: uniform, zipf:S or trace:FILE (topk_ids and topk_weights).", valueName: "source")
  )
  var routing = RoutingOption.simulated(.uniform)

  @Option(help: ArgumentHelp("Experts, instead of the preset's number.", valueName: "count"))
  var experts: Int?

  @Option(help: ArgumentHelp("Seconds for each batch size.", valueName: "seconds"))
  var seconds = 1.0

  @OptionGroup(title: "A roofline")
  var pictures: PictureOptions

  @OptionGroup var options: BackendOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if (preset == nil) == (shape == nil) { throw ValidationError("give either a preset or --shape H,I,E,k") }
    guard (0.01...3600).contains(seconds) else { throw ValidationError("--seconds must lie between 0.01 and 3600") }
    guard options.backend != "reference" else {
      throw ValidationError("the reference backend is for checking, not for timing")
    }
  }

  func run() throws {
    _ = try options.make()
    var shape = try self.shape ?? sizesOfPreset()
    if let experts {
      guard (shape.topK...1 << 20).contains(experts) else {
        throw MoEError(
          .invalidArgument, "too few experts", subject: "--experts", expected: "at least top-k = \(shape.topK)",
          found: "\(experts)")
      }
      shape.expertCount = experts
    }
    let backend = try options.cpu()
    let bench = try LayerBench(shape, options.weightType ?? dtype, on: backend)
    let error = try bench.check()
    let meter = try CeilingMeter(backend)
    meter.measure()
    let rows = try tokens.counts.map { count in
      defer { meter.measure() }
      let routings = try routing.routings(
        expertCount: shape.expertCount, topK: shape.topK, tokenCount: count, count: count >= 64 ? 4 : 32)
      return try bench.measure(routings, atLeast: seconds)
    }
    let report = BenchReport(
      shape: shape, typeName: "\(options.weightType ?? dtype)", threads: backend.pool.threadCount,
      instructionSet: backend.instructionSet.rawValue, ceilings: meter.ceilings, error: error, rows: rows)
    print(json ? report.object.serialized(pretty: true) : report.text)
    try pictures.draw(report.picture, isQuiet: json)
  }

  private func sizesOfPreset() throws(MoEError) -> ExpertShape {
    guard let found = ModelPreset(named: preset!) else {
      throw MoEError(
        .invalidArgument, "unknown preset", subject: preset,
        expected: "one of \(ModelPreset.all.map(\.name).joined(separator: ", "))")
    }
    return try ExpertShape(found)
  }
}
