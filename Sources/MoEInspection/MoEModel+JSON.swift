// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

public import Checkpoints
public import MoE

extension MoEModel {
  /// The object of `moe inspect --json`.
  public var object: JSONValue {
    [
      "schema": 1, "command": "inspect", "path": .string(checkpoint.path), "name": .string(checkpoint.name),
      "family": .string(architecture), "files": .integer(checkpoint.catalog.files.count),
      "tensors": .integer(checkpoint.catalog.records.count), "bytes": .integer(checkpoint.catalog.byteCount),
      "layers": .array(layers.map(\.object)), "notes": .array(notes.map { .string($0) }),
    ]
  }
}

extension MoEModel.Layer {
  /// Stored bits, scales included, over weights.
  public var bitsPerWeight: Double {
    8 * Double(experts.storedBytes) / Double(specification.expertCount * specification.parametersPerExpert)
  }

  fileprivate var object: JSONValue {
    var object: [String: JSONValue] = [
      "index": .integer(index), "prefix": .string(prefix), "experts": .integer(specification.expertCount),
      "top_k": .integer(topK), "hidden_size": .integer(hiddenSize),
      "expert_hidden_size": .integer(specification.hiddenSize),
      "intermediate_size": .integer(specification.intermediateSize), "router": .string("\(plan)"),
      "activation": .string("\(specification.activation)"), "biases": .bool(specification.hasBias),
      "format": .string(experts.format), "declared_activations": .string("\(specification.activations)"),
      "bits_per_weight": .number(bitsPerWeight), "layout": .string(experts.layoutName),
      "expert_bytes": .integer(experts.storedBytes),
    ]
    if let shared {
      object["shared_intermediate_size"] = .integer(shared.experts.specification.intermediateSize)
    }
    return .object(object)
  }
}
