// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Synchronization
import Tensors

/// A small model whose experts' weights are known, written in any format, with one expert damaged or none.
struct VerificationCase {
  static let (hidden, intermediate, experts, victim) = (128, 64, 8, 5)

  enum Weights: String, CaseIterable, Sendable { case gaussian, heavyTailed }

  /// By expert and projection.
  var values: [[Projection: [Float]]]
  private let configuration: [String: JSONValue] = [
    "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "num_hidden_layers": 1,
    "hidden_size": .integer(hidden), "hidden_act": "silu", "num_experts": .integer(experts), "num_experts_per_tok": 2,
    "moe_intermediate_size": .integer(intermediate), "norm_topk_prob": true,
  ]

  static func rows(_ projection: Projection) -> Int { projection == .down ? hidden : intermediate }
  static func columns(_ projection: Projection) -> Int { projection == .down ? intermediate : hidden }

  init(_ weights: Weights, seed: UInt64 = 1) {
    var generator = SplitMix64(seed: seed)
    values = (0..<Self.experts).map { _ in
      var expert: [Projection: [Float]] = [:]
      for projection in Projection.allCases {
        expert[projection] = (0..<Self.hidden * Self.intermediate).map { _ in
          let normal = generator.normal()
          // Student's t with 4 degrees of freedom: normal over the root of a chi-squared mean.
          let squares = (0..<4).reduce(0.0) { sum, _ in
            let other = generator.normal()
            return sum + other * other
          }
          let value = weights == .gaussian ? normal : normal / (squares / 4).squareRoot()
          return ElementType.bf16.decode(ElementType.bf16.encode([Float(value * 0.02)]))[0]
        }
      }
      return expert
    }
  }

  /// Most experts are the same in every test.
  private static let known = Mutex<[Encoded: StoredProjection]>([:])

  private struct Encoded: Hashable {
    var type: WeightType
    var weights: [Float]
  }

  private static func encoded(
    _ weights: [Float], _ projection: Projection, _ type: WeightType
  ) throws -> StoredProjection {
    let key = Encoded(type: type, weights: weights)
    if let stored = known.withLock({ $0[key] }), stored.rows == rows(projection) { return stored }
    let stored = try type.scheme.encode(weights, rows: rows(projection), columns: columns(projection))
    known.withLock { $0[key] = stored }
    return stored
  }

  private static func name(_ expert: Int, _ projection: Projection) -> String {
    "model.layers.0.mlp.experts.\(expert).\(projection.rawValue)_proj"
  }

  /// Writes the weights as a type of safetensors. Plain and quantised experts are stored one by one.
  func write(to folder: TemporaryFolder, as type: WeightType) throws {
    var configuration = configuration
    configuration["quantization_config"] = type.quantizationConfiguration(ignoring: ["model.layers.0.mlp.gate"])
    var tensors: [(TensorDeclaration, bytes: [UInt8])] = []
    for (expert, matrices) in values.enumerated() {
      for (projection, weights) in matrices {
        let stored = try Self.encoded(weights, projection, type)
        for tensor in type.scheme.tensors {
          guard let found = stored.tensors[tensor.role] else { continue }
          tensors.append(
            (
              TensorDeclaration(Self.name(expert, projection) + tensor.suffixes[0], found.elementType, found.shape),
              found.bytes
            ))
        }
      }
    }
    let gate = (0..<Self.experts * Self.hidden).map { Float($0 % 13) / 16 }
    tensors.append(
      (
        TensorDeclaration("model.layers.0.mlp.gate.weight", .bf16, [Self.experts, Self.hidden]),
        ElementType.bf16.encode(gate)
      ))
    try SafetensorsFile.write(tensors: tensors, to: folder["model.safetensors"])
    try Data(JSONValue.object(configuration).serialized().utf8).write(to: URL(filePath: folder["config.json"]))
  }
}
