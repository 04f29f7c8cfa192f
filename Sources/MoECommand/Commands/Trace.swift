// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// Traces of loads.
struct Trace: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at traces of expert loads, and convert them from and to those of other engines.",
    discussion: """
      A trace is the number of tokens of each expert, by step and layer; docs/traces.md describes the file. Traces, plain \
      loads, routed ids and the dumps of vLLM, SGLang and TensorRT-LLM are read wherever a trace is.
      """,
    subcommands: [Stat.self, Import.self, Export.self])
}

extension Trace {
  struct Stat: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show how unevenly experts are chosen: imbalance, entropy and drift of each layer.",
      discussion: """
        Imbalance is the greatest load of an expert over the mean. Entropy is 1 where all experts are chosen alike, 0 \
        where one is always. Drift is the share of tokens that go to other experts from one window to the next.
        """)

    @Argument(help: "A trace.", completion: .file())
    var trace: String

    @Option(help: ArgumentHelp("Steps of a window; a tenth of the trace when absent.", valueName: "steps"))
    var window: Int?

    @OptionGroup var reading: LoadOptions

    @OptionGroup(title: "The heatmap, layer × expert") var pictures: PictureOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
      guard window ?? 1 > 0 else { throw ValidationError("--window must be positive") }
    }

    func run() throws {
      let trace = try reading.open(self.trace)
      let window = window ?? max(1, trace.steps.count / 10)
      let layers = trace.statistics(window: window)
      print(json ? object(trace, layers, window).serialized(pretty: true) : text(trace, layers, window))
      try pictures.draw(
        Picture.loadHeatmap("Load of the experts", self.trace, layers: trace.layers, loads: trace.totals),
        isQuiet: json)
    }

    private func text(_ trace: LoadTrace, _ layers: [LoadStatistics], _ window: Int) -> String {
      var table = TextTable(["layer", "load", "imbalance", "entropy", "drift", "idle", "busiest"])
      for layer in layers {
        table.append([
          "\(layer.layer)", Format.short(layer.total), Format.fixed(layer.imbalance, 2), Format.fixed(layer.entropy, 3),
          layer.drift.map { Format.fixed($0, 3) } ?? "-", "\(layer.idleCount)", "\(layer.busiest)",
        ])
      }
      return "\(self.trace): \(trace.steps.count) step(s), \(trace.layers.count) layer(s), \(trace.expertCount) experts"
        + (trace.topK.map { ", top \($0)" } ?? "") + "; drift over windows of \(window) step(s)\n\n" + table.text
    }

    private func object(_ trace: LoadTrace, _ layers: [LoadStatistics], _ window: Int) -> JSONValue {
      [
        "schema": 1, "command": "trace stat", "trace": .string(self.trace), "steps": .integer(trace.steps.count),
        "experts": .integer(trace.expertCount), "top_k": trace.topK.map { .integer($0) } ?? .null,
        "window": .integer(window),
        "layers": .array(
          layers.map { layer in
            [
              "layer": .integer(layer.layer), "load": .number(layer.total), "imbalance": .number(layer.imbalance),
              "entropy": .number(layer.entropy), "drift": layer.drift.map { .number($0) } ?? .null,
              "idle": .integer(layer.idleCount), "busiest": .integer(layer.busiest),
            ]
          }),
      ]
    }
  }

  /// Both directions: any trace that can be read becomes one of a format.
  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a trace from loads, routed ids or another engine's dump.",
      discussion: "Files of different layers over the same steps, as 'moe run' writes them, become one.")

    @Argument(help: "What is read.", completion: .file())
    var sources: [String]

    @Option(name: .shortAndLong, help: ArgumentHelp("The trace to write.", valueName: "file"), completion: .file())
    var output: String

    @OptionGroup var reading: LoadOptions

    func run() throws { try Trace.convert(sources, reading, to: output, as: .moe) }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a trace as another engine's dump.",
      discussion: "For trtllm the output is a folder, which must be empty or not exist.")

    @Argument(help: "A trace.", completion: .file())
    var trace: String

    @Option(
      name: .customLong("as"), help: ArgumentHelp("One of \(TraceFormat.names).", valueName: "format"))
    var format: TraceFormat

    @Option(name: .shortAndLong, help: ArgumentHelp("What is written.", valueName: "path"), completion: .file())
    var output: String

    @OptionGroup var reading: LoadOptions

    func run() throws { try Trace.convert([trace], reading, to: output, as: format) }
  }

  private static func convert(_ sources: [String], _ reading: LoadOptions, to output: String, as format: TraceFormat)
    throws
  {
    let traces = try sources.map { try reading.open($0) }
    let trace = traces.count == 1 ? traces[0] : try LoadTrace(merging: traces)
    if format == .trtllm {
      try Folder.writeWhole(output) { folder in try trace.write(to: folder, as: format) }
    } else {
      try trace.write(to: output, as: format)
    }
    print(
      "\(output): \(trace.steps.count) step(s), \(trace.layers.count) layer(s), \(trace.expertCount) experts, as "
        + format.rawValue)
  }
}
