// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

/// A routing in a safetensors file: `topk_ids` I32 `[tokens, topK]` and `topk_weights` F32 `[tokens, topK]`.
enum RoutingFile {
  static func read(_ path: String) throws -> Routing {
    let file = try TensorCatalog(opening: path)
    var faults: [Fault] = []
    for name in ["topk_ids", "topk_weights"] where file[name] == nil {
      faults.append(
        Fault(
          .missingTensor, "a routing needs this tensor", file: path, subject: name,
          expected: name == "topk_ids" ? "I32 [tokens, topK]" : "F32 [tokens, topK]"))
    }
    guard faults.isEmpty, let ids = file["topk_ids"], let weights = file["topk_weights"] else { throw MoEError(faults) }
    guard ids.shape.rank == 2, ids.shape[1] > 0, ids.shape == weights.shape else {
      throw MoEError(
        .shapeMismatch, "topk_ids and topk_weights must both be [tokens, topK]", file: path,
        found: "\(ids.shape) and \(weights.shape)")
    }
    let values = try file.integers(of: ids)
    guard values.allSatisfy({ Int32(exactly: $0) != nil }) else {
      throw MoEError(.invalidValue, "an expert id is out of range", file: path, subject: "topk_ids")
    }
    return try Routing(topK: ids.shape[1], ids: values.map(Int32.init), weights: try file.floats(of: weights))
  }

  static func tensors(_ routing: Routing) -> [(TensorDeclaration, bytes: [UInt8])] {
    let shape: Shape = [routing.tokenCount, routing.topK]
    return [
      (TensorDeclaration("topk_ids", .i32, shape), bytes: littleEndianBytes(routing.ids)),
      (TensorDeclaration("topk_weights", .f32, shape), bytes: ElementType.f32.encode(routing.weights)),
    ]
  }
}

/// The bytes of an I32 tensor.
func littleEndianBytes(_ values: [Int32]) -> [UInt8] {
  values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
}
