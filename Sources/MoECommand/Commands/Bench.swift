// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import Glibc
import MoE
import MoEDistributed
import Tensors

/// Times the routed experts of one layer against the ceilings of the machine.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time the routed experts of one layer, as shares of what the machine can do.",
    discussion: """
      The ceilings (memory read; multiply-adds in the precision of the activations) are measured in the same process on the same threads, or on the same \
      device. Weights are random and rotate over copies of the layer, so that one token's experts come from memory and \
      not from a cache. Times are minima, of each batch on its own, in the mean over the batches; the median of all calls \
      stands beside them. On a device, 32 calls are captured as a graph, and a time is that of the graph over 32.

      On many ranks: the mean time of a forward on each, and the shares of dispatch, compute and combine.

        mpirun -n 2 moe bench Granite-3-1B-A400M --expert-parallel 2
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

  @Option(
    help: ArgumentHelp("How many batches of a size take turns; of 64 tokens and more at most 4.", valueName: "count"))
  var batches = 32

  @Option(help: ArgumentHelp("Experts, instead of the preset's number.", valueName: "count"))
  var experts: Int?

  @Option(help: ArgumentHelp("Seconds for each batch size.", valueName: "seconds"))
  var seconds = 1.0

  @Flag(
    help: """
      Take batch sizes from standard input, a list a line, and answer each by a line of JSON: for programs that \
      measure in turns with others.
      """)
  var ask = false

  @OptionGroup(title: "A roofline")
  var pictures: PictureOptions

  @OptionGroup var ranks: RankOptions

  @OptionGroup var options: BackendOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if (preset == nil) == (shape == nil) { throw ValidationError("give either a preset or --shape H,I,E,k") }
    guard (0.01...3600).contains(seconds) else { throw ValidationError("--seconds must lie between 0.01 and 3600") }
    guard (1...1024).contains(batches) else { throw ValidationError("--batches must lie between 1 and 1024") }
    guard options.backend != "reference" else {
      throw ValidationError("the reference backend is for checking, not for timing")
    }
    if ask && (json || !pictures.isEmpty) { throw ValidationError("--ask prints lines of JSON and nothing else") }
  }

  func run() throws {
    try ranks.run {
      try runAlone()
    } together: { grid in
      try runOnRanks(grid)
    }
  }

  /// The sizes that were asked for.
  private func wantedShape() throws -> ExpertShape {
    var shape = try self.shape ?? sizesOfPreset()
    if let experts {
      guard (shape.topK...1 << 20).contains(experts) else {
        throw MoEError(
          .invalidArgument, "too few experts", subject: "--experts", expected: "at least top-k = \(shape.topK)",
          found: "\(experts)")
      }
      shape.expertCount = experts
    }
    return shape
  }

  /// Routings of batches of `count` tokens.
  private func routings(_ shape: ExpertShape, _ count: Int) throws -> [Routing] {
    try routing.routings(
      expertCount: shape.expertCount, topK: shape.topK, tokenCount: count,
      count: count >= 64 ? min(4, batches) : batches)
  }

  private func runOnRanks(_ grid: RankGrid<MPICommunicator>) throws {
    guard pictures.isEmpty else {
      throw MoEError(.invalidArgument, "a roofline is drawn of one process", remedy: "leave the picture, or mpirun")
    }
    guard let backend = try options.makeForRank() as? CPUBackend else { throw untimed("the cpu backend on ranks") }
    let shape = try wantedShape()
    let placement = try ranks.parallel.placement(expertCount: shape.expertCount)
    let bench = try RankBench(
      shape, options.weightType ?? dtype, on: backend, grid, dispatch: ranks.way, placement: placement)
    let error = try bench.check()
    let rows = try tokens.counts.map { try bench.measure(routings(shape, $0), atLeast: seconds) }
    guard grid.world.rank == 0, let layout = grid.layout else { return }
    let way = ranks.dispatch.rawValue + (ranks.combine == .allReduce ? ", combined by all-reduce" : "")
    let report = RankBenchReport(
      shape: shape, typeName: "\(options.weightType ?? dtype)", layout: layout, dispatch: way, backend: backend,
      error: error, rows: rows)
    print(json ? report.object.serialized(pretty: true) : report.text)
  }

  private func runAlone() throws {
    guard let backend = try options.make() as? any TimedBackend else { throw untimed("cpu or cuda[:N]") }
    try options.openDevice()
    try run(on: backend)
  }

  private func untimed(_ expected: String) -> MoEError {
    MoEError(
      .unsupportedByBackend, "a backend that isn't timed", subject: "--backend", expected: expected,
      found: options.backend)
  }

  private func run(on backend: some TimedBackend) throws {
    let shape = try wantedShape()
    let bench = try LayerBench(shape, options.weightType ?? dtype, on: backend)
    let error = try bench.check()
    let meter = try backend.makeMeter(for: bench.layout.specification)
    try meter.measure()
    func report(_ counts: [Int]) throws -> BenchReport {
      let rows = try counts.map { count in
        let row = try bench.measure(routings(shape, count), atLeast: seconds)
        try meter.measure()
        return row
      }
      return BenchReport(
        shape: shape, typeName: "\(options.weightType ?? dtype)", backend: backend.name,
        machine: try backend.machine(), activations: backend.activations, ceilings: meter.ceilings, error: error,
        rows: rows)
    }
    if ask { return try answer { try report($0).results } }
    let report = try report(tokens.counts)
    print(json ? report.object.serialized(pretty: true) : report.text)
    try pictures.draw(report.picture, isQuiet: json)
  }

  /// Says that it is ready by an empty list, then answers each line of standard input.
  private func answer(_ results: ([Int]) throws -> JSONValue) throws {
    func line(_ value: JSONValue) {
      print(value.serialized())
      fflush(nil)
    }
    line([])
    while let asked = readLine() {
      guard let counts = TokenCounts(argument: asked)?.counts else {
        throw MoEError(.invalidArgument, "not batch sizes", expected: "numbers from 1, as in 1,8,64", found: asked)
      }
      line(try results(counts))
    }
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
