// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import Checkpoints
internal import MoE
internal import Tensors

extension LoadTrace {
  /// SGLang's counts as JSON: `{"logical_count": …}` of `[layers][experts]` or `[steps][layers][experts]`.
  static func json(_ bytes: [UInt8], file: String) throws -> LoadTrace {
    let value = try JSONValue(parsing: bytes, file: file, nonFiniteNumbers: .accepted)
    let key = "logical_count"
    guard let counts = value[key]?.array ?? value["loads"]?.array, let first = counts.first else {
      throw MoEError(
        .configuration, "no loads in this file", file: file, subject: key,
        expected: "[layers][experts] or [steps][layers][experts]")
    }
    let isStepped = first[0]?.array != nil
    let steps = (isStepped ? counts : [.array(counts)]).map { step in (step.array ?? []).map { $0.array ?? [] } }
    let (layerCount, expertCount) = (steps[0].count, steps[0].first?.count ?? 0)
    guard steps.allSatisfy({ $0.count == layerCount && $0.allSatisfy { $0.count == expertCount } }),
      steps.allSatisfy({ $0.allSatisfy { $0.allSatisfy { $0.number != nil } } })
    else {
      throw MoEError(
        .shapeMismatch, "loads must be numbers, as many in every row", file: file, subject: key,
        expected: "[steps][\(layerCount)][\(expertCount)]")
    }
    return try LoadTrace(
      layerCount: layerCount, expertCount: expertCount,
      steps: steps.map { $0.joined().map { $0.number! } }, file: file)
  }

  /// TensorRT-LLM's folder: `meta_info.json`, and `rankN.safetensors` with counts `[experts]` named `step_layer`.
  static func expertStatistic(_ folder: String, _ names: [String]) throws -> LoadTrace {
    let ranks = names.filter {
      $0.hasPrefix("rank") && $0.hasSuffix(".safetensors") && !$0.hasSuffix("_raw.safetensors")
    }
    guard names.contains("meta_info.json"), !ranks.isEmpty else {
      throw MoEError(
        .unreadable, "no trace in this folder", file: folder,
        expected: "meta_info.json and rank0.safetensors, as TensorRT-LLM writes them")
    }
    let information = try JSONValue(
      parsing: try RandomAccessFile.contents(of: folder + "/meta_info.json", limit: 1 << 24),
      file: folder + "/meta_info.json")
    var counts: [Place: [Double]] = [:]
    var faults: [Fault] = []
    for name in ranks {
      let path = folder + "/" + name
      let catalog = try TensorCatalog(opening: path)
      for record in catalog.records {
        guard let place = Place(record.name), record.shape.rank == 1 else {
          faults.append(
            Fault(
              .unexpectedTensor, "not the counts of a step and layer", file: path, subject: record.name,
              expected: "STEP_LAYER [experts]", found: "\(record.shape)"))
          continue
        }
        let values = try catalog.doubles(of: record)
        let sum = counts[place] ?? Array(repeating: 0, count: values.count)
        guard sum.count == values.count else {
          faults.append(
            Fault(
              .shapeMismatch, "counts of another number of experts", file: path, subject: record.name,
              expected: "[\(sum.count)]", found: "\(record.shape)"))
          continue
        }
        counts[place] = zip(sum, values).map { $0 + $1 }
      }
    }
    let layers = Set(counts.keys.map(\.layer)).sorted(), steps = Set(counts.keys.map(\.step)).sorted()
    for step in steps {
      for layer in layers where counts[Place(step: step, layer: layer)] == nil {
        faults.append(Fault(.missingTensor, "no counts", file: folder, subject: "\(step)_\(layer)"))
      }
    }
    guard faults.isEmpty else { throw MoEError(faults) }
    let expertCount = information["num_experts"]?.integer ?? counts.first?.value.count ?? 0
    return try LoadTrace(
      layers: layers, layerCount: layers.count, expertCount: expertCount,
      topK: information["num_experts_per_token"]?.integer,
      steps: steps.map { step in layers.flatMap { counts[Place(step: step, layer: $0)]! } }, file: folder)
  }

  private struct Place: Hashable {
    var step: Int
    var layer: Int

    init(step: Int, layer: Int) {
      self.step = step
      self.layer = layer
    }

    init?(_ name: String) {
      let parts = name.split(separator: "_", omittingEmptySubsequences: false).map { Int($0) }
      guard parts.count == 2, let step = parts[0], let layer = parts[1] else { return nil }
      self.init(step: step, layer: layer)
    }
  }
}
