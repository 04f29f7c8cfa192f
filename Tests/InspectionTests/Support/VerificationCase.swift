// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Synchronization
import Tensors
import TestSupport

/// A small model whose experts' weights are known, written in any format and layout, with one expert damaged or none.
struct VerificationCase {
  static let (experts, victim) = (8, 5)

  enum Weights: String, CaseIterable, Sendable { case gaussian, heavyTailed }

  /// How safetensors hold the experts; GGUF stacks them.
  enum Layout: Sendable { case perExpert, fused }

  let hidden: Int
  let intermediate: Int
  /// By expert and projection.
  var values: [[Projection: [Float]]]

  func rows(_ projection: Projection) -> Int { projection == .down ? hidden : intermediate }
  func columns(_ projection: Projection) -> Int { projection == .down ? intermediate : hidden }

  init(_ weights: Weights, hidden: Int = 128, intermediate: Int = 64, seed: UInt64 = 1) {
    (self.hidden, self.intermediate) = (hidden, intermediate)
    var generator = SplitMix64(seed: seed)
    values = (0..<Self.experts).map { _ in
      var expert: [Projection: [Float]] = [:]
      for projection in Projection.allCases {
        expert[projection] = (0..<hidden * intermediate).map { _ in
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

  /// Writes the weights as a type.
  ///
  /// - Returns: where the checkpoint is.
  func write(to folder: TemporaryFolder, as type: WeightType, _ layout: Layout = .perExpert) throws -> String {
    if case .ggml(let block) = type {
      try writeGGUF(to: folder["model.gguf"], as: type, block)
      return folder["model.gguf"]
    }
    switch layout {
    case .perExpert:
      try writeExperts(to: folder.path, as: type)
      return folder.path
    case .fused:
      for name in ["plain", "stored"] {
        try FileManager.default.createDirectory(atPath: folder[name], withIntermediateDirectories: false)
      }
      try writeFused(to: folder["plain"])
      guard type != .bf16 else { return folder["plain"] }
      try CheckpointConversion(of: MoEModel(opening: folder["plain"]), to: type).write(to: folder["stored"])
      return folder["stored"]
    }
  }

  // MARK: - Files

  /// Most experts are the same in every test.
  private static let known = Mutex<[Encoded: StoredProjection]>([:])

  private struct Encoded: Hashable {
    var type: WeightType
    var rows: Int
    var weights: [Float]
  }

  private func encoded(_ expert: Int, _ projection: Projection, _ type: WeightType) throws -> StoredProjection {
    let key = Encoded(type: type, rows: rows(projection), weights: values[expert][projection]!)
    if let stored = Self.known.withLock({ $0[key] }) { return stored }
    let stored = try type.scheme.encode(key.weights, rows: key.rows, columns: columns(projection))
    Self.known.withLock { $0[key] = stored }
    return stored
  }

  private static let ends: [(projection: Projection, name: String)] = [(.gate, "gate"), (.up, "up"), (.down, "down")]

  private var gate: [Float] { (0..<Self.experts * hidden).map { Float($0 % 13) / 16 } }

  private func writeExperts(to folder: String, as type: WeightType) throws {
    var configuration: [String: JSONValue] = [
      "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "num_experts": .integer(Self.experts),
      "moe_intermediate_size": .integer(intermediate), "norm_topk_prob": true,
    ]
    configuration["quantization_config"] = type.quantizationConfiguration(ignoring: ["model.layers.0.mlp.gate"])
    let block = "model.layers.0.mlp"
    var tensors = [
      (TensorDeclaration("\(block).gate.weight", .bf16, [Self.experts, hidden]), ElementType.bf16.encode(gate))
    ]
    for expert in values.indices {
      for (projection, name) in Self.ends {
        let stored = try encoded(expert, projection, type)
        for tensor in type.scheme.tensors {
          guard let found = stored.tensors[tensor.role] else { continue }
          let name = "\(block).experts.\(expert).\(name)_proj" + tensor.suffixes[0]
          tensors.append((TensorDeclaration(name, found.elementType, found.shape), found.bytes))
        }
      }
    }
    try write(tensors, configuration, to: folder)
  }

  /// Gate and up in one tensor of all experts, as Granite's.
  private func writeFused(to folder: String) throws {
    let configuration: [String: JSONValue] = [
      "model_type": "granitemoe", "architectures": ["GraniteMoeForCausalLM"],
      "num_local_experts": .integer(Self.experts), "intermediate_size": .integer(intermediate),
    ]
    let block = "model.layers.0.block_sparse_moe"
    let tensors = [
      ("router.layer", [Self.experts, hidden], gate),
      ("input_linear", [Self.experts, 2 * intermediate, hidden], values.flatMap { $0[.gate]! + $0[.up]! }),
      ("output_linear", [Self.experts, hidden, intermediate], values.flatMap { $0[.down]! }),
    ].map { name, shape, values in
      (TensorDeclaration("\(block).\(name).weight", .bf16, Shape(shape)), ElementType.bf16.encode(values))
    }
    try write(tensors, configuration, to: folder)
  }

  private func write(
    _ tensors: [(TensorDeclaration, bytes: [UInt8])], _ configuration: [String: JSONValue], to folder: String
  ) throws {
    let common: [String: JSONValue] = [
      "num_hidden_layers": 1, "hidden_size": .integer(hidden), "hidden_act": "silu", "num_experts_per_tok": 2,
    ]
    try SafetensorsFile.write(tensors: tensors, to: folder + "/model.safetensors")
    let text = JSONValue.object(common.merging(configuration) { $1 }).serialized()
    try Data(text.utf8).write(to: URL(filePath: folder + "/config.json"))
  }

  private func writeGGUF(to path: String, as type: WeightType, _ block: GGMLType) throws {
    let name = "qwen3moe"
    let sizes = [
      "block_count": 1, "embedding_length": hidden, "expert_feed_forward_length": intermediate,
      "expert_count": Self.experts, "expert_used_count": 2,
    ]
    var metadata: [String: GGUFValue] = ["general.architecture": .string(name)]
    for (key, size) in sizes { metadata["\(name).\(key)"] = .uint32(UInt32(size)) }
    let declarations = Self.ends.map { projection, name in
      GGUFDeclaration("blk.0.ffn_\(name)_exps.weight", block, [Self.experts, rows(projection), columns(projection)])
    }
    let router = GGUFDeclaration("blk.0.ffn_gate_inp.weight", .f32, [Self.experts, hidden])
    let writer = try GGUFWriter(creating: path, metadata: metadata, tensors: declarations + [router])
    try writer.write(router.name, ElementType.f32.encode(gate))
    for (declaration, end) in zip(declarations, Self.ends) {
      let bytes = try values.indices.flatMap { try encoded($0, end.projection, type).tensors[.weight]!.bytes }
      try writer.write(declaration.name, bytes)
    }
    try writer.finish()
  }
}
