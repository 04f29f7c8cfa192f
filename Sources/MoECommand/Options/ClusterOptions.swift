// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection

/// What bytes and times are estimated from.
struct ClusterOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Sizes of a layer, or a model's: for bytes and times.", valueName: "H,I,E,k|preset"))
  var shape: String?

  @Option(help: ArgumentHelp("The type of the weights, any of 'moe synth --dtype'.", valueName: "type"))
  var dtype = WeightType.bf16

  @Option(help: ArgumentHelp("Tokens of a step, all ranks together; loads are scaled to it.", valueName: "count"))
  var tokens: Int?

  @Option(help: ArgumentHelp("Bytes per second that a rank sends, and receives.", valueName: "bytes"))
  var linkRate = ByteCount(argument: "50GB")!

  @Option(help: ArgumentHelp("Microseconds of an exchange without content.", valueName: "microseconds"))
  var latency = 20.0

  @Option(help: ArgumentHelp("Bytes per second that a rank reads weights at.", valueName: "bytes"))
  var memoryRate = ByteCount(argument: "3TB")!

  @Option(help: ArgumentHelp("TFLOP/s of a rank.", valueName: "number"))
  var computeRate = 500.0

  @Option(help: ArgumentHelp("Bytes of an element of a row on its way to an expert's rank.", valueName: "number"))
  var dispatchBytes = 4.0

  @Option(help: ArgumentHelp("Bytes of an element of a row on its way back.", valueName: "number"))
  var combineBytes = 4.0

  func validate() throws {
    let numbers = [("latency", latency), ("dispatch-bytes", dispatchBytes), ("combine-bytes", combineBytes)]
    for (name, value) in numbers where !(0...1e9).contains(value) {
      throw ValidationError("--\(name) must be a number of 0 at least")
    }
    guard computeRate > 0, computeRate.isFinite else { throw ValidationError("--compute-rate must be above 0") }
    guard tokens ?? 1 > 0 else { throw ValidationError("--tokens must be positive") }
  }

  var cluster: ClusterModel {
    ClusterModel(
      computeRate: computeRate * 1e12, memoryRate: Double(memoryRate.count), linkRate: Double(linkRate.count),
      latency: latency * 1e-6)
  }

  func layer() throws(MoEError) -> LayerCost? {
    guard let shape = try shape.map({ text throws(MoEError) in try ExpertShape(parsing: text) }) else { return nil }
    let weights = 3 * shape.hiddenSize * shape.intermediateSize
    let bytes = Int(Double(weights) * dtype.bitsPerWeight / 8)
    guard bytes <= 1 << 36 else {
      throw MoEError(
        .tooLarge, "experts of such a size can't be counted", subject: "--shape", expected: "at most 64 GiB each",
        found: Format.bytes(bytes))
    }
    return LayerCost(
      hiddenSize: shape.hiddenSize, intermediateSize: shape.intermediateSize, topK: shape.topK,
      bytesPerExpert: bytes, dispatchBytes: dispatchBytes,
      combineBytes: combineBytes)
  }
}

extension ByteCount {
  var defaultValueDescription: String { Format.bytes(count).filter { $0 != " " } }
}
