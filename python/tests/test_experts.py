# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Checkpoints and experts, with NumPy, torch and DLPack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import swift_moe
import torch
from safetensors.numpy import load_file
from swift_moe.experts import Loader


@pytest.fixture
def oracle(mixtral: Path) -> dict[str, Any]:
    return dict(load_file(mixtral / "oracle.safetensors"))


def error(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_checkpoint_says_what_it_has(mixtral: Path) -> None:
    with swift_moe.Checkpoint(mixtral) as checkpoint:
        assert (checkpoint.family, len(checkpoint.layers)) == ("Mixtral", 2)
        layer = checkpoint.layers[1]
        assert (layer.index, layer.experts, layer.top_k, layer.hidden_size, layer.intermediate_size) == (1, 8, 2, 64, 96)
        assert len(checkpoint.tensors(0)) == 24
        plan = checkpoint.plan(weights="int4-g16", tensor_parallel=2, expert_parallel=2)
        assert len(plan.ranks) == 4
        assert plan.ranks[0].resident_bytes < checkpoint.plan().ranks[0].resident_bytes / 4
        report = checkpoint.check()
        assert report.whole and not report.errors and report.facts["weights"] == 2 * 8 * 3 * 64 * 96
    assert repr(checkpoint).startswith("Checkpoint(")
    with pytest.raises(swift_moe.InvalidHandle):
        checkpoint.plan()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_block_is_the_oracles(mixtral: Path, oracle: dict[str, Any], backend: str) -> None:
    experts = swift_moe.Experts.load(swift_moe.Checkpoint(mixtral), 0, backend=backend)
    x = oracle["layers.0.input"]
    whole = experts.block(x)
    assert error(whole, oracle["layers.0.block_output"]) < 1e-5
    ids, weights = experts.route(x)
    assert np.array_equal(experts(x, ids, weights), whole)
    assert np.array_equal(experts.submit(x, ids, weights).wait(), whole)
    assert experts.loads(reset=True).sum() == 4 * ids.size
    assert experts.loads().sum() == 0


def test_a_gpu(mixtral: Path, oracle: dict[str, Any]) -> None:
    """With one the oracle's block in bf16 activations; without one an error that names it. A plan needs none."""
    checkpoint = swift_moe.Checkpoint(mixtral)
    assert checkpoint.plan(backend="cuda").ranks[0].resident_bytes >= 8 * 3 * 64 * 96 * 2
    try:
        experts = swift_moe.Experts.load(checkpoint, 0, backend="cuda")
    except swift_moe.DeviceError as missing:
        assert "cuda:0" in str(missing) and "expected" in str(missing)
    else:
        assert error(experts.block(oracle["layers.0.input"]), oracle["layers.0.block_output"]) < 1e-2


def test_arrays_of_all_libraries_are_taken_where_they_are(mixtral: Path, oracle: dict[str, Any]) -> None:
    experts = swift_moe.Experts.load(swift_moe.Checkpoint(mixtral), 0)
    x, rng = oracle["layers.0.input"], np.random.default_rng(1)
    ids, weights = rng.integers(-1, 8, (16, 2)), rng.random((16, 2), np.float32)
    expected = experts(x, ids, weights)

    tensor = torch.from_numpy(x.copy())
    found = experts(tensor, torch.from_numpy(ids), torch.from_numpy(weights))
    assert isinstance(found, torch.Tensor) and np.array_equal(found.numpy(), expected)

    class Foreign:
        """What speaks DLPack and is of nobody's class."""

        def __dlpack__(self, **arguments: Any) -> Any:
            return x.__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    assert np.array_equal(experts(Foreign(), ids, weights), expected)

    # Written into the caller's memory, with strides, and over the input.
    wide = np.full((16, 2, 64), 7, np.float32)
    assert experts(x, ids, weights, out=wide[:, 1]).base is wide
    assert np.array_equal(wide[:, 1], expected) and (wide[:, 0] == 7).all()
    columns = torch.zeros(64, 16).T
    experts(tensor.T.contiguous().T, torch.from_numpy(ids), torch.from_numpy(weights), out=columns)
    assert np.array_equal(columns.numpy(), expected)
    experts(tensor, torch.from_numpy(ids), torch.from_numpy(weights), out=tensor)
    assert np.array_equal(tensor.numpy(), expected)

    # Any axes before the last.
    found = experts(x.reshape(2, 8, 64), ids.reshape(2, 8, 2), weights.reshape(2, 8, 2))
    assert np.array_equal(found.reshape(16, 64), expected)
    assert experts(x[:0], ids[:0], weights[:0]).shape == (0, 64)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_widened_and_rounded(mixtral: Path, oracle: dict[str, Any], dtype: torch.dtype) -> None:
    experts = swift_moe.Experts.load(swift_moe.Checkpoint(mixtral), 0)
    x = torch.from_numpy(oracle["layers.0.input"]).to(dtype)
    ids, weights = torch.randint(0, 8, (16, 2)), torch.rand(16, 2).to(dtype)
    found = experts(x, ids, weights)
    assert found.dtype == dtype
    assert torch.equal(found, experts(x.float(), ids, weights.float()).to(dtype))


def test_ranks_add_up(mixtral: Path, oracle: dict[str, Any]) -> None:
    checkpoint, x = swift_moe.Checkpoint(mixtral), oracle["layers.0.input"]
    ids, weights = np.random.default_rng(2).integers(-1, 8, (16, 3)), np.ones((16, 3), np.float32)
    whole = swift_moe.Experts.load(checkpoint, 0)(x, ids, weights)
    shares = [swift_moe.Experts.load(checkpoint, 0, tensor_parallel=2, expert_parallel=3, rank=rank) for rank in range(6)]
    assert sum(share.info.local_expert_count for share in shares) == 16
    assert error(sum(share(x, ids, weights) for share in shares), whole) < 1e-6


def test_tensors_are_pushed(mixtral: Path, oracle: dict[str, Any]) -> None:
    from safetensors import safe_open

    checkpoint = swift_moe.Checkpoint(mixtral)
    loader = Loader(checkpoint, 0)
    names = [tensor.name for tensor in checkpoint.tensors(0)]
    for path in mixtral.glob("model-*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for name in set(file.keys()) & set(names[1:]):
                loader.push(name, file.get_tensor(name))
            if names[0] in file.keys():
                first = file.get_tensor(names[0])
    with pytest.raises(swift_moe.InvalidArgument, match="not pushed"):
        loader.finish()
    loader.push(names[0], first)
    assert error(loader.finish().block(oracle["layers.0.input"]), oracle["layers.0.block_output"]) < 1e-5


@pytest.mark.parametrize("weights", [None, "bf16", "fp8-block", "int8-channel", "int4-g32", "mxfp4", "q4_0"])
def test_weights_from_memory(weights: str | None) -> None:
    limits = {None: 1e-6, "bf16": 5e-3, "fp8-block": 6e-2, "int8-channel": 2e-2, "int4-g32": 0.2, "mxfp4": 0.25, "q4_0": 0.2}
    torch.manual_seed(0)
    gate_up, down = torch.randn(4, 256, 128) / 12, torch.randn(4, 128, 128) / 12
    x, ids, mixing = torch.randn(6, 128), torch.randint(0, 4, (6, 2)), torch.rand(6, 2)
    expected = torch.zeros(6, 128)
    for token in range(6):
        for slot in range(2):
            gate, up = (gate_up[ids[token, slot]] @ x[token]).chunk(2)
            expected[token] += mixing[token, slot] * (down[ids[token, slot]] @ (torch.nn.functional.silu(gate) * up))
    experts = swift_moe.Experts.from_weights(
        gate_up=gate_up, down=down, options=swift_moe.Options(weights=weights, experts_only=True)
    )
    assert error(experts(x, ids, mixing), expected) < limits[weights]
