// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

extension Damage {
  /// What the configuration says.
  static let configuration: [Damage] = [
    Damage("configuration with one expert more", .headers, gguf: true) { specimen in
      specimen.add(
        1, toMetadata: ".expert_count", orOneOf: ["num_experts", "num_local_experts", "n_routed_experts"])
    },
    Damage("configuration with one expert less", .headers, gguf: true) { specimen in
      specimen.add(
        -1, toMetadata: ".expert_count", orOneOf: ["num_experts", "num_local_experts", "n_routed_experts"])
    },
    Damage("configuration with another hidden size", .headers, gguf: true) { specimen in
      specimen.add(32, toMetadata: ".embedding_length", orOneOf: ["hidden_size"])
    },
    Damage("configuration with another group size", .headers) { specimen in
      let isWeightGroup = specimen.matrix(1, .up).scheme.parameters.granularity
      guard case .group(let size) = isWeightGroup else { return false }
      return specimen.change("group_size") { $0.integer == size ? .integer(2 * size) : nil }
    },
    Damage("configuration with another block size", .headers) { specimen in
      specimen.change("weight_block_size") { _ in [64, 64] }
    },
    Damage("configuration with other bits", .headers) { specimen in
      guard [.int4Affine, .int8].contains(specimen.matrix(1, .up).scheme.parameters.form) else { return false }
      // The bits of whole bytes are no matter of their layout.
      if specimen.piece(.weight)!.tensor.elementType == .i8 { return false }
      let isChanged = specimen.change("bits") { _ in 8 }
      return specimen.change("num_bits") { $0.integer == 4 ? 8 : nil } || isChanged
    },
    Damage("unknown quantisation method", .headers) { specimen in
      specimen.change("quant_method") { _ in "mystery" }
    },
  ]
}
