# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Llama-4's experts, which transformers runs without its experts interface."""

from __future__ import annotations

from typing import Any

from . import routing
from .errors import Unsupported


def adopt(implementations: dict[str, Any]) -> None:
    """Makes `set_experts_implementation` reach the experts of Llama-4."""
    from transformers.models.llama4 import modeling_llama4 as llama4

    experts, model = llama4.Llama4TextExperts, llama4.Llama4PreTrainedModel
    if hasattr(experts, "experts_implementation"):
        return
    original_forward, original_set = experts.forward, model.set_experts_implementation

    def forward(self: Any, hidden_states: Any) -> Any:
        implementation = implementations.get(self.experts_implementation)
        if implementation is None:
            return original_forward(self, hidden_states)
        if routing.is_active():
            raise Unsupported("Llama4TextExperts: its routing can't be captured or replayed, since its experts don't see it")
        return run(implementation.experts(self), hidden_states)

    def set_experts_implementation(self: Any, implementation: Any) -> None:
        original_set(self, implementation)
        name = implementation if isinstance(implementation, str) else implementation.get("text_config", implementation.get(""))
        for module in self.modules():
            if isinstance(module, experts) and name is not None:
                module.experts_implementation = name

    forward.__wrapped__ = original_forward  # type: ignore[attr-defined]
    experts.experts_implementation = "eager"
    experts.forward = forward
    model.set_experts_implementation = set_experts_implementation


def run(experts: Any, hidden_states: Any) -> Any:
    """`[experts · tokens, hidden]`: each expert's copy of all tokens, multiplied by the router's scores.

    A token that an expert was not chosen for is 0 there, and what comes of it is 0: only the others are run.
    """
    import torch

    rows = (hidden_states != 0).any(-1).nonzero().squeeze(-1)
    tokens = hidden_states.shape[0] // experts.info.expert_count
    output = torch.zeros_like(hidden_states)
    if len(rows):
        ids = (rows // tokens).unsqueeze(-1)
        output[rows] = experts(hidden_states[rows], ids, torch.ones(len(rows), 1))
    return output
