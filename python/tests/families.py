# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Tiny random models of many families, made by transformers from their configuration classes."""

from __future__ import annotations

from typing import Any

import torch
import transformers

COMMON: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}
LATENT = {
    "kv_lora_rank": 32,
    "q_lora_rank": 32,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "num_key_value_heads": 4,
    "first_k_dense_replace": 0,
    "moe_intermediate_size": 32,
    "n_shared_experts": 1,
}

# Class prefix: what its configuration has besides.
FAMILIES: dict[str, dict[str, Any]] = {
    "Mixtral": {"num_local_experts": 8, "num_experts_per_tok": 2},
    "Qwen2Moe": {
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 64,
        "decoder_sparse_step": 1,
    },
    "Qwen3Moe": {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 32, "decoder_sparse_step": 1},
    "Olmoe": {"num_experts": 8, "num_experts_per_tok": 3},
    "DeepseekV2": {"n_routed_experts": 8, "num_experts_per_tok": 3, **LATENT},
    "DeepseekV3": {"n_routed_experts": 16, "num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, **LATENT},
    "GptOss": {"num_local_experts": 8, "num_experts_per_tok": 3},
    "Llama4": {
        "num_local_experts": 8,
        "num_experts_per_tok": 1,
        "intermediate_size_mlp": 96,
        "interleave_moe_layer_step": 1,
    },
    "GraniteMoe": {"num_local_experts": 8, "num_experts_per_tok": 3},
    "Glm4Moe": {
        "n_routed_experts": 16,
        "num_experts_per_tok": 3,
        "n_group": 4,
        "topk_group": 2,
        "first_k_dense_replace": 0,
        "moe_intermediate_size": 32,
        "n_shared_experts": 1,
    },
    "MiniMaxM2": {"num_local_experts": 8, "num_experts_per_tok": 3, "rotary_dim": 16},
    "Phimoe": {"num_local_experts": 8, "num_experts_per_tok": 2},
    "Jamba": {
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "attn_layer_period": 2,
        "attn_layer_offset": 0,
        "expert_layer_period": 1,
        "expert_layer_offset": 0,
        "use_mamba_kernels": False,
        "mamba_d_state": 8,
        "mamba_dt_rank": 8,
    },
    "Ernie4_5_Moe": {
        "moe_num_experts": 8,
        "moe_k": 3,
        "moe_intermediate_size": 32,
        "moe_num_shared_experts": 1,
        "moe_layer_start_index": 0,
    },
    "NemotronH": {
        "n_routed_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 32,
        "moe_shared_expert_intermediate_size": 64,
        "layers_block_type": ["attention", "moe"],
        "n_group": 1,
        "topk_group": 1,
    },
}


def make(family: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> Any:
    """A model of a family with random weights, wide enough that its layers matter."""
    config_class = getattr(transformers, f"{family}TextConfig" if family == "Llama4" else f"{family}Config")
    config = config_class(**{**COMMON, **FAMILIES[family]})
    torch.manual_seed(seed)
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=1.5 / parameter.shape[-1] ** 0.5)
    return model.to(dtype).eval()
