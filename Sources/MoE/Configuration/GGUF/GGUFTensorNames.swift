// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

/// What the tensors beside the MoE blocks are called in a family's own checkpoints, and in GGUF.
///
/// The names of the latter are those of llama.cpp (`gguf-py/gguf/tensor_mapping.py`). Only families whose tensors hold
/// the same numbers in both have such a table.
struct GGUFTensorNames: Sendable {
  /// Modules of the model: each has a `.weight`.
  var model = ["model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"]
  /// Modules of a layer: each has a `.weight` and may have a `.bias`.
  var layer = [
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
  ]
  /// Tensors of a layer by their whole names.
  var tensors: [String: String] = [:]
  /// Modules of a layer whose rows GGUF has in another order, and the setting with the number of their heads: the two
  /// halves of each head, which are rotated together, alternate there.
  var heads: [String: String] = [:]

  static let common = Self()

  /// Mixtral, as all models of llama.cpp's architecture `llama`.
  static let rotated = with {
    $0.heads = ["self_attn.q_proj": "num_attention_heads", "self_attn.k_proj": "num_key_value_heads"]
  }

  /// DeepSeek's attention over a latent vector, its second projection in one tensor.
  static let latent = with {
    $0.layer.merge(
      [
        "self_attn.q_a_proj": "attn_q_a", "self_attn.q_b_proj": "attn_q_b", "self_attn.q_a_layernorm": "attn_q_a_norm",
        "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa", "self_attn.kv_b_proj": "attn_kv_b",
        "self_attn.kv_a_layernorm": "attn_kv_a_norm",
      ]
    ) { $1 }
  }

  /// The norm before the block has another name.
  static let postNorm = with { $0.layer["post_attention_layernorm"] = "post_attention_norm" }

  static let sinks = with {
    $0.layer["post_attention_layernorm"] = "post_attention_norm"
    $0.tensors["self_attn.sinks"] = "attn_sinks.weight"
  }

  private static func with(_ adjust: (inout Self) -> Void) -> Self {
    var names = Self()
    adjust(&names)
    return names
  }
}

extension GGUFTensorNames {
  /// A tensor's name in GGUF, or in the family's own checkpoints.
  struct Renamed: Hashable {
    var name: String
    /// The setting with the number of heads whose rows change places.
    var heads: String?
  }

  /// All names that a tensor may have, below the model and below a layer: from the family's own to GGUF's.
  private func table(isToGGUF: Bool) -> (model: [String: Renamed], layer: [String: Renamed]) {
    func pairs(_ modules: [String: String], _ endings: [String]) -> [String: Renamed] {
      var table: [String: Renamed] = [:]
      for (own, other) in modules {
        for ending in endings {
          let (from, to) = isToGGUF ? (own, other) : (other, own)
          table[from + ending] = Renamed(name: to + ending, heads: heads[own])
        }
      }
      return table
    }
    let whole = pairs(tensors, [""])
    return (pairs(model, [".weight"]), pairs(layer, [".weight", ".bias"]).merging(whole) { $1 })
  }

  /// - Parameters:
  ///   - stack: what stands before a layer's number in the family's own checkpoints.
  /// - Returns: what a tensor is called in the other container; nil for one that the table lacks.
  func renaming(isToGGUF: Bool, stack: String) -> (String) -> Renamed? {
    let (model, layer) = table(isToGGUF: isToGGUF)
    let (from, to) = isToGGUF ? (stack, "blk.") : ("blk.", stack)
    return { name in
      if let found = model[name] { return found }
      guard name.hasPrefix(from), let dot = name.dropFirst(from.count).firstIndex(of: ".") else { return nil }
      return layer[String(name[name.index(after: dot)...])].map { found in
        Renamed(name: to + name.dropFirst(from.count)[...dot] + found.name, heads: found.heads)
      }
    }
  }
}
