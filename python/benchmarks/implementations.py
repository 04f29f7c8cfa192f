# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Decoding and prefilling of a model by every experts implementation of transformers that runs on this CPU, and by ours.

    python benchmarks/implementations.py --layers 4 --rounds 5

The model has the layer shapes of Qwen3-30B-A3B and random weights in bfloat16. Implementations take turns in one process;
the table has the median of the rounds, and of it the time in experts alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import swift_moe
import torch
from swift_moe.integration import experts_of
from transformers import DynamicCache, Qwen3MoeConfig, Qwen3MoeForCausalLM

# Weights and activations: those of the model itself, and a quantised form.
OURS = {"swift_moe bf16": (None, "bf16"), "swift_moe int4": ("int4-g128", "int8")}
THEIRS = ("eager", "batched_mm", "grouped_mm")
# Seconds of a prefill that is not repeated.
SLOW = 5.0
# batched_mm copies the weights for each token and slot, 9.4 MB of them here: it can't have more tokens than these.
LONGEST = {"batched_mm": 32}


def make(layers: int) -> Any:
    config = Qwen3MoeConfig(
        vocab_size=151936,
        hidden_size=2048,
        intermediate_size=6144,
        moe_intermediate_size=768,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=4,
        head_dim=128,
        num_experts=128,
        num_experts_per_tok=8,
        norm_topk_prob=True,
        decoder_sparse_step=1,
        max_position_embeddings=4096,
    )
    with torch.device("meta"):
        model = Qwen3MoeForCausalLM(config)
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1 << 22, generator=generator).to(torch.bfloat16)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.fill_(1)
                continue
            # Slices of one pool of noise, each begun elsewhere.
            flat = parameter.view(-1)
            for start in range(0, len(flat), 1 << 21):
                part = flat[start : start + (1 << 21)]
                first = (start // 64) * 2654435761 % (1 << 21)
                part.copy_(noise[first : first + len(part)]).mul_(parameter.shape[-1] ** -0.5)
        rotary = model.model.rotary_emb
        rotary.inv_freq = 1 / (config.rope_parameters["rope_theta"] ** (torch.arange(0, 128, 2) / 128))
    return model.eval()


@dataclass
class Times:
    """Seconds of runs, and of the experts in them."""

    total: list[float] = field(default_factory=list)
    experts: list[float] = field(default_factory=list)


class Stopwatch:
    """Sums up the time in the experts of a model."""

    def __init__(self, model: Any) -> None:
        self.seconds = 0.0
        self._start = 0.0
        for _, module in experts_of(model):
            module.register_forward_pre_hook(self._begin)
            module.register_forward_hook(self._end)

    def _begin(self, *_: object) -> None:
        self._start = time.perf_counter()

    def _end(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start

    def measure(self, times: Times, body: Callable[[], None], runs: int) -> None:
        self.seconds = 0.0
        start = time.perf_counter()
        body()
        times.total.append((time.perf_counter() - start) / runs)
        times.experts.append(self.seconds / runs)


def prepare(model: Any) -> list[str]:
    """The implementations, ours with packed experts."""
    for name, (weights, activations) in OURS.items():
        swift_moe.register(name, weights=weights, activations=activations)
        start = time.perf_counter()
        resident = swift_moe.prepare(model, name)
        print(f"{name}: {resident / 1e9:.2f} GB packed in {time.perf_counter() - start:.1f} s", flush=True)
    return [*THEIRS, *OURS]


@torch.no_grad()
def run(model: Any, names: list[str], rounds: int, prompt: int, steps: int) -> dict[str, tuple[Times, Times]]:
    stopwatch = Stopwatch(model)
    results = {name: (Times(), Times()) for name in names}
    slow: dict[str, Times] = {}
    generator = torch.Generator().manual_seed(1)
    for index in range(rounds + 1):
        tokens = torch.randint(0, 151936, (1, prompt), generator=generator)
        for name in names:
            model.set_experts_implementation(name)
            cache = DynamicCache(config=model.config)
            decode, prefill = results[name] if index > 0 else (Times(), Times())
            if index == 1 and name in slow:
                prefill.total, prefill.experts = slow[name].total, slow[name].experts

            def fill() -> None:
                model(input_ids=tokens[:, : LONGEST.get(name, prompt)], cache=cache, logits_to_keep=1)

            def step() -> None:
                for place in range(steps):
                    model(input_ids=tokens[:, place : place + 1], cache=cache)

            if name not in slow:
                stopwatch.measure(prefill, fill, 1)
            if index == 0 and prefill.total[0] > SLOW:
                slow[name] = prefill
            stopwatch.measure(decode, step, steps)
    return results


def table(results: dict[str, tuple[Times, Times]], prompt: int) -> str:
    lines = [
        "| experts | decode, ms/token | of it experts | prefill, tokens/s | of it experts, ms |",
        "|---|---|---|---|---|",
    ]
    for name, (decode, prefill) in results.items():
        median = statistics.median
        lines.append(
            f"| {name} | {1e3 * median(decode.total):.1f} | {1e3 * median(decode.experts):.1f} "
            f"| {min(prompt, LONGEST.get(name, prompt)) / median(prefill.total):.0f} | {1e3 * median(prefill.experts):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    model = make(arguments.layers)
    names = prepare(model)
    print(table(run(model, names, arguments.rounds, arguments.prompt, arguments.steps), arguments.prompt))


if __name__ == "__main__":
    main()
