// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// How far the CPU backend is from Float64, for types of weights and precisions of activations.
struct MeasureAccuracy: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "accuracy",
    abstract: "Measure the errors of types of weights and precisions of activations.",
    discussion: """
      Random experts of each type are computed by the CPU backend and, with the same weights, by the Float64 reference on \
      activations as they are: what is measured is what the backend adds to a format's own error. Errors are root mean \
      squares, relative to the output's; the greatest of the batch sizes is shown. Fails where one is above its bound: \
      f32 1e-4, bf16 0.5 %, int8 1.6 %.
      """)

  @Option(
    name: .customLong("dtype"),
    help: ArgumentHelp("Types of weights, as in 'moe synth --dtype'.", valueName: "type,…"),
    transform: { try $0.split(separator: ",").map { try WeightType(parsing: String($0)) } })
  var types = Self.allTypes

  @Option(help: ArgumentHelp("Sizes of the layer: hidden, intermediate, experts, top-k.", valueName: "H,I,E,k"))
  var shape = ExpertShape(argument: "1024,512,4,2")!

  @Option(help: ArgumentHelp("Batch sizes.", valueName: "list"))
  var tokens = TokenCounts([1, 2, 3, 5, 16, 33, 130])

  @OptionGroup var workers: ThreadOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  /// All that `--dtype` knows, groups of the usual sizes.
  private static let allTypes: [WeightType] = WeightType.allNames.flatMap { name in
    let names = name.contains("N") ? ["32", "128"].map { name.replacing("N", with: $0) } : [name]
    return names.compactMap { try? WeightType(parsing: $0) }
  }

  private static let precisions = [ActivationPrecision.f32, .bf16, .int8]

  func run() throws {
    let (pool, instructions) = (try workers.pool(), try BackendOptions.instructionSet())
    let backends = Self.precisions.map { CPUBackend(pool: pool, instructionSet: instructions, activations: $0) }
    let rows = try types.map { type in
      let probe = try AccuracyProbe(shape, type, tokenCounts: tokens.counts)
      return Row(type: type, errors: try backends.map { try probe.error(of: $0) })
    }
    print(json ? object(rows, backends[0]).serialized(pretty: true) : text(rows, backends[0]))
    let excesses = rows.flatMap(\.excesses)
    guard excesses.isEmpty else {
      throw MoEError(
        .invalidValue, "errors above what the precision may cost", subject: backends[0].instructionSet.rawValue,
        expected: "f32 1e-4, bf16 0.5 %, int8 1.6 %", found: excesses.joined(separator: ", "))
    }
  }

  private struct Row {
    var type: WeightType
    /// By precision.
    var errors: [Double]
    let bounds = precisions.map(AccuracyProbe.bound)

    var excesses: [String] {
      errors.indices.filter { !(errors[$0] <= bounds[$0]) }.map {
        "\(type) with \(MeasureAccuracy.precisions[$0].rawValue) \(Format.scientific(errors[$0]))"
      }
    }
  }

  private func text(_ rows: [Row], _ backend: CPUBackend) -> String {
    var table = TextTable(["weights"] + Self.precisions.map(\.rawValue), leftAligned: [0])
    for row in rows {
      table.append(
        ["\(row.type)"]
          + zip(Self.precisions, row.errors).map { precision, error in
            precision == .f32 ? Format.scientific(error) : "\(Format.fixed(100 * error, 2)) %"
          })
    }
    return """
      \(shape.description), batches of \(tokens.defaultValueDescription), \(backend.instructionSet.rawValue), \
      \(Processor.model)

      \(table.text)
      """
  }

  private func object(_ rows: [Row], _ backend: CPUBackend) -> JSONValue {
    [
      "schema": 1, "command": "accuracy", "shape": .string(shape.description),
      "tokens": .array(tokens.counts.map { .integer($0) }),
      "instruction_set": .string(backend.instructionSet.rawValue), "processor": .string(Processor.model),
      "results": .array(
        rows.map { row in
          [
            "dtype": .string("\(row.type)"), "errors": Self.byPrecision(row.errors),
            "bounds": Self.byPrecision(row.bounds),
          ]
        }),
    ]
  }

  private static func byPrecision(_ values: [Double]) -> JSONValue {
    .object(Dictionary(uniqueKeysWithValues: zip(precisions.map(\.rawValue), values.map { .number($0) })))
  }
}
