// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import ArgumentParser
import Checkpoints
import MoE
import MoEInspection
import Tensors

/// Writes what a rank would hold.
struct Extract: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write experts of a layer, decoded to F32: all, or what one rank of a grid would hold.",
    discussion: """
      The output holds experts.{id}.{gate,up,down} as [out, in], biases as experts.{id}.{gate,up,down}_bias, and \
      replicas, the logical id in each of the rank's slots. Only the bytes that the rank owns are read.
      """)

  @Argument(help: "A checkpoint: a folder, a safetensors or a GGUF file.", completion: .directory)
  var checkpoint: String

  @Option(help: ArgumentHelp("The layer's number in the model.", valueName: "number"))
  var layer: Int

  @Option(help: ArgumentHelp("Logical experts, for example 0-3,7; all when absent.", valueName: "ids"))
  var experts: NumberSet?

  @OptionGroup var parallel: ParallelOptions

  @Option(help: ArgumentHelp("The rank: expert rank · tensor parallel + tensor rank.", valueName: "number"))
  var rank = 0

  @Option(
    help: ArgumentHelp(
      "Quantise as a load with --quantize does, and write what comes of it (default: as stored).", valueName: "type"))
  var quantize: WeightType?

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The safetensors file to write.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var output: String

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    let model = try MoEModel(opening: checkpoint, layers: [layer])
    for note in model.notes { Console.note(note) }
    let source = try model.layer(layer).experts
    let count = source.specification.expertCount
    if let last = experts?.numbers.last, last >= count {
      throw MoEError(
        .invalidArgument, "no such expert", subject: "--experts", expected: "0..<\(count)", found: "\(last)")
    }
    let plan = try LoadPlan(
      source, on: ReferenceBackend(), as: try parallel.grid(rank: rank),
      placement: try parallel.placement(expertCount: count), weightType: quantize)
    for note in plan.notes { Console.note(note) }
    var wanted: [LogicalExpert: LoadPlan.Slot] = [:]
    for slot in plan.slots where experts?.numbers.contains(slot.expert.rawValue) ?? true { wanted[slot.expert] = slot }
    try write(plan, wanted.values.sorted { $0.expert < $1.expert }, from: model.checkpoint.catalog)
    let read = wanted.values.reduce(0) { $0 + $1.bytesToRead }
    if json {
      let object: JSONValue = [
        "schema": 1, "command": "extract", "checkpoint": .string(checkpoint), "layer": .integer(layer),
        "rank": .integer(rank), "output": .string(output), "bytes_read": .integer(read),
        "experts": .array(wanted.keys.sorted().map { .integer($0.rawValue) }),
        "intermediate": [.integer(plan.intermediate.lowerBound), .integer(plan.intermediate.upperBound)],
        "notes": .array((model.notes + plan.notes).map { .string($0) }),
      ]
      print(object.serialized(pretty: true))
    } else {
      print("\(output): \(wanted.count) expert(s) of layer \(layer), from \(Format.bytes(read))")
    }
  }

  /// Expert by expert: no more than one is in memory.
  private func write(_ plan: LoadPlan, _ slots: [LoadPlan.Slot], from catalog: TensorCatalog) throws {
    let specification = plan.specification
    var tensors = [TensorDeclaration("replicas", .i32, [plan.slots.count])]
    for slot in slots {
      for role in specification.roles {
        for projection in specification.projections {
          let size = specification.size(of: projection)
          tensors.append(
            TensorDeclaration(
              name(slot.expert, projection, role), .f32, role == .bias ? [size.rows] : [size.rows, size.columns]))
        }
      }
    }
    let writer = try SafetensorsWriter(creating: output, tensors: tensors)
    try writer.write("replicas", littleEndianBytes(plan.slots.map { Int32($0.expert.rawValue) }))
    let line = ProgressLine("writing \(output)")
    for (index, slot) in slots.enumerated() {
      for tensor in try plan.values(of: slot, from: catalog) {
        try writer.write(
          name(slot.expert, tensor.projection, tensor.role), ElementType.f32.encode(tensor.values))
      }
      line.show(bytes: (index + 1) * slot.bytesToRead, of: slots.count * slot.bytesToRead)
    }
    try writer.finish()
    line.finish()
  }

  private func name(_ expert: LogicalExpert, _ projection: Projection, _ role: TensorRole) -> String {
    "experts.\(expert.rawValue).\(projection.rawValue)" + (role == .bias ? "_bias" : "")
  }
}
