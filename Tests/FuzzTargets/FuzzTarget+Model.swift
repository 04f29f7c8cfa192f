// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

extension FuzzTarget {
  /// A `config.json`: the settings of a model and what its family makes of them, on tensors that are declared beside it.
  public static let config = FuzzTarget(name: "config") { read($0, plans: true) }

  /// What a `config.json` says of the quantisation of such tensors.
  public static let quantization = FuzzTarget(name: "quantization") { bytes in
    let text = bytes.prefix { $0 != 0x0A }
    if let value = try? JSONValue(parsing: Array(text), file: "fuzz"),
      let settings = try? QuantizationSettings(value, file: "fuzz")
    {
      _ = settings.unmatched(["model.layers.0.mlp.gate", "lm_head"])
      for module in ["lm_head", "model.layers.0.mlp.experts.0.up_proj"] { _ = try? settings.module(module) }
    }
    return read(bytes, plans: false)
  }

  /// - Parameters:
  ///   - bytes: a configuration; and behind a line feed tensors, each `"name": {"dtype": …, "shape": […]}`.
  ///   - plans: whether loads are planned, too, of the layers that are whole.
  private static func read(_ bytes: [UInt8], plans: Bool) -> Outcome {
    let parts = bytes.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
    return outcome { () throws(CheckpointError) in
      let configuration = try JSONValue(parsing: Array(parts[0]), file: "fuzz")
      // What was understood can be written and understood again.
      guard try JSONValue(parsing: Array(configuration.serialized().utf8), file: "fuzz") == configuration else {
        return "another value after writing and reading it"
      }
      let tensors = parts.count == 2 ? try declarations(Array(parts[1])) : []
      let survey = MoEModel.Survey(
        try Checkpoint(declaring: tensors, configuration: configuration, name: "fuzz"), faultLimit: 16)
      if plans { for layer in survey.layers { plan(layer) } }
      guard survey.faults.isEmpty else { throw CheckpointError(survey.faults.map(\.fault)) }
      return survey.layers.isEmpty ? "no fault, and no layer" : nil
    }
  }

  /// Whole, and cut in two both ways: a plan or a refusal.
  private static func plan(_ layer: MoEModel.Layer) {
    let backend = CPUBackend()
    for size in [1, 2] {
      guard let rank = try? ParallelLayout(tensorParallel: size, expertParallel: size, rank: size - 1) else { continue }
      _ = try? LoadPlan(layer.experts, on: backend, as: rank)
    }
  }

  private static func declarations(_ text: [UInt8]) throws(CheckpointError) -> [TensorDeclaration] {
    let value = try JSONValue(parsing: text, file: "fuzz")
    return (value.object ?? [:]).sorted { $0.key < $1.key }.compactMap { name, entry in
      guard let type = entry["dtype"]?.string.flatMap(ElementType.init), let extents = entry["shape"]?.array else {
        return nil
      }
      let shape = extents.compactMap(\.integer).filter { $0 >= 0 }
      return shape.count == extents.count ? TensorDeclaration(name, type, Shape(shape)) : nil
    }
  }
}
