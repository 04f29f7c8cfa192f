# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Whole models of transformers with our experts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import swift_moe
import torch
from families import FAMILIES, make
from swift_moe.integration import experts_of, implementation

PROMPT = torch.randint(2, 96, (2, 24), generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def registered() -> None:
    swift_moe.register()


@torch.no_grad()
def run(model: Any, name: str, **arguments: Any) -> torch.Tensor:
    model.set_experts_implementation(name)
    logits: torch.Tensor = model(input_ids=PROMPT, **arguments).logits
    return logits


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_texts_are_those_of_eager(family: str) -> None:
    model = make(family)
    expected = run(model, "eager")
    text = model.generate(PROMPT[:1, :8], max_new_tokens=64, do_sample=False)
    found = run(model, "swift_moe")
    assert all(implementation("swift_moe")._packed.get(module) for _, module in experts_of(model))
    assert error(found, expected) < 1e-4
    assert not torch.equal(found, expected), "they would be eager's own"
    assert torch.equal(model.generate(PROMPT[:1, :8], max_new_tokens=64, do_sample=False), text)
    assert text.shape == (1, 72) and len(set(text[0, 8:].tolist())) > 8


@pytest.mark.parametrize("family", ["Qwen3Moe", "GptOss", "DeepseekV3", "Llama4"])
@pytest.mark.parametrize("weights, low, high", [("fp8-channel", 5e-3, 0.15), ("int4-g32", 2e-2, 0.5)])
def test_quantised_on_the_fly(family: str, weights: str, low: float, high: float) -> None:
    swift_moe.register("quantised", weights=weights)
    model = make(family)
    assert low < swift_moe.verify(model, PROMPT, name="quantised", quiet=True).worst < high
    assert error(run(model, "quantised"), run(model, "eager")) > 1e-3


@pytest.mark.parametrize("activations, low, high", [("bf16", 1e-4, 1e-2), ("int8", 2e-3, 5e-2)])
def test_rounded_activations(activations: str, low: float, high: float) -> None:
    swift_moe.register("rounded", activations=activations)
    assert low < swift_moe.verify(make("Qwen3Moe"), PROMPT, name="rounded", quiet=True).worst < high


def test_weights_that_change_are_packed_again() -> None:
    model = make("Qwen3Moe")
    first = run(model, "swift_moe")
    with torch.no_grad():
        for _, module in experts_of(model):
            module.down_proj.mul_(-1)
    assert error(run(model, "swift_moe"), run(model, "eager")) < 1e-4
    assert error(run(model, "swift_moe"), first) > 1e-2


def test_weights_can_be_given_up() -> None:
    swift_moe.register("lean", weights="int4-g32", release=True)
    model = make("Mixtral")
    swift_moe.register("fat", weights="int4-g32")
    expected = run(model, "fat")
    assert swift_moe.prepare(model, "lean") > 0
    assert all(not len(parameter) for _, module in experts_of(model) for parameter in module.parameters())
    assert torch.equal(run(model, "lean"), expected)
    with pytest.raises(swift_moe.InvalidArgument, match="given up"):
        swift_moe.verify(model, PROMPT, name="lean")


def test_bfloat16_is_closer_than_eager() -> None:
    model = make("Qwen3Moe", dtype=torch.bfloat16)
    report = swift_moe.verify(model, PROMPT, quiet=True)
    assert all(layer.error <= 1.05 * layer.eager_error for layer in report.layers)


def test_verify_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make("GptOss")
    path = tmp_path / "errors.svg"
    report = swift_moe.verify(model, svg=str(path))
    assert len(report.layers) == 2 and report.worst < 1e-5
    printed = capsys.readouterr().out
    assert "model.layers.1.mlp.experts" in printed and "█" in printed
    assert path.read_text().startswith("<svg") and "model.layers.1.mlp.experts: swift_moe" in path.read_text()


def test_routing_is_captured_and_replayed(tmp_path: Path) -> None:
    model = make("Qwen3Moe")
    run(model, "swift_moe")
    with torch.no_grad(), swift_moe.capture() as routes:
        text = model.generate(PROMPT[:1, :8], max_new_tokens=16, do_sample=False)
    assert routes.ids.shape == (23, 2, 4) and routes.ids.dtype == np.int16
    with torch.no_grad(), swift_moe.capture(model) as named:
        logits = model(input_ids=text[:, :-1]).logits
    assert np.array_equal(np.sort(named.ids), np.sort(routes.ids))

    # Another model with this routing goes where the first one went, whoever runs its experts, all tokens at once.
    other = make("Qwen3Moe", seed=5)
    routes.save(str(tmp_path / "routes.npz"))
    loaded = swift_moe.Routes.load(str(tmp_path / "routes.npz"))
    results = []
    for name in ("swift_moe", "eager"):
        other.set_experts_implementation(name)
        with torch.no_grad(), swift_moe.replay(loaded, other), swift_moe.capture(other) as again:
            results.append(other(input_ids=text[:, :-1]).logits)
        assert np.array_equal(again.ids, routes.ids)
    assert error(results[0], results[1]) < 1e-4
    with torch.no_grad():
        assert error(other(input_ids=text[:, :-1]).logits, results[1]) > 1e-3
        with swift_moe.replay(routes, model):
            assert error(model(input_ids=text[:, :-1]).logits, logits) < 1e-4
        with pytest.raises(swift_moe.InvalidArgument, match="end after 23 tokens"), swift_moe.replay(routes, model):
            model(input_ids=PROMPT)


def test_experts_straight_from_a_quantised_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What `moe convert` writes: experts in int4, the rest as it was. transformers sees the rest only."""
    import subprocess

    from conftest import command

    model = make("Qwen3Moe")
    model.save_pretrained(tmp_path / "plain")
    subprocess.run([command(), "convert", tmp_path / "plain", "--to", "int4-g32", "-o", tmp_path / "int4"], check=True)
    quantised = swift_moe.from_pretrained(str(tmp_path / "int4"), dtype=torch.float32)
    assert "MISSING" not in caplog.text
    assert quantised.config._experts_implementation.startswith("swift_moe:")
    assert sum(parameter.numel() for _, module in experts_of(quantised) for parameter in module.parameters()) == 0
    swift_moe.register("int4", weights="int4-g32")
    with torch.no_grad():
        found = quantised(input_ids=PROMPT).logits
    assert error(found, run(model, "int4")) < 1e-6
    assert error(found, run(model, "eager")) > 1e-2


class TestBadInput:
    def test_training_is_refused(self) -> None:
        model = make("Mixtral")
        model.set_experts_implementation("swift_moe")
        with pytest.raises(swift_moe.Unsupported, match="no_grad"):
            model(input_ids=PROMPT)

    def test_unknown_activation_is_refused(self) -> None:
        model = make("Mixtral")
        for _, module in experts_of(model):
            module.act_fn = torch.nn.Tanh()
        with pytest.raises(swift_moe.Unsupported, match="activation"):
            run(model, "swift_moe")

    def test_wrong_options_are_refused_at_once(self) -> None:
        with pytest.raises(swift_moe.InvalidArgument, match="no such implementation"):
            swift_moe.prepare(make("Mixtral"), "nobody")
        swift_moe.register("odd", weights="int5")
        with pytest.raises(swift_moe.InvalidArgument, match="int5"):
            run(make("Mixtral"), "odd")

    def test_a_model_without_experts(self) -> None:
        with pytest.raises(swift_moe.InvalidArgument, match="no experts"):
            swift_moe.verify(torch.nn.Linear(2, 2))
