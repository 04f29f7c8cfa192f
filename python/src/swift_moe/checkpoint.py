# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Checkpoints: what they have, whether it is whole, and what loading it takes."""

from __future__ import annotations

import json
import os
import weakref
from dataclasses import dataclass
from typing import Any

from . import _library
from ._options import Options


@dataclass(frozen=True)
class Layer:
    """An MoE layer of a checkpoint. `facts` has everything that `moe inspect --json` says of it."""

    index: int
    experts: int
    top_k: int
    hidden_size: int
    intermediate_size: int
    format: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Tensor:
    """A tensor of a layer's routed experts, as it is stored."""

    name: str
    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class RankPlan:
    """Bytes that one rank reads, keeps, has at the height of the load, and needs for a batch at worst."""

    rank: int
    bytes_to_read: int
    resident_bytes: int
    peak_bytes: int
    worst_workspace_bytes: int


@dataclass(frozen=True)
class Plan:
    """What loading takes. `facts` has everything that `moe plan --json` says."""

    ranks: list[RankPlan]
    notes: list[str]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found. `facts` has its place, and what was expected and found."""

    severity: str
    code: str
    message: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What a check found, the worst first. `facts` has everything that `moe check --json` says."""

    whole: bool
    findings: list[Finding]
    facts: dict[str, Any]

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]


def check(path: str | os.PathLike[str], *, headers_only: bool = False) -> Report:
    """Everything that is wrong or odd with a checkpoint; not being one is a finding, too."""
    facts = json.loads(_library.text("moe_check", _library.encoded(path), int(headers_only)))
    findings = [
        Finding(entry.pop("severity"), entry.pop("code"), entry.pop("message"), entry)
        for entry in map(dict, facts["findings"])
    ]
    return Report(facts["whole"], findings, facts)


class Checkpoint:
    """A folder, a safetensors or a GGUF file, whose headers were read and proved whole.

    >>> checkpoint = Checkpoint("Qwen3-30B-A3B")
    >>> checkpoint.layers[0].experts
    128
    >>> checkpoint.plan(weights="int4-g128").ranks[0].resident_bytes

    Raises CheckpointError with everything that is wrong.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.handle = _library.handle("moe_checkpoint_open", _library.encoded(path))
        self._finalizer = weakref.finalize(self, _library.call, "moe_checkpoint_free", self.handle)
        self._finalizer.atexit = False
        self.facts: dict[str, Any] = json.loads(_library.text("moe_checkpoint_describe", self.handle))
        self.layers = [
            Layer(
                layer["index"],
                layer["experts"],
                layer["top_k"],
                layer["hidden_size"],
                layer["intermediate_size"],
                layer["format"],
                layer,
            )
            for layer in self.facts["layers"]
        ]

    @property
    def family(self) -> str:
        return str(self.facts["family"])

    @property
    def notes(self) -> list[str]:
        return list(self.facts["notes"])

    def close(self) -> None:
        """Closes the files. Layers that were loaded stay."""
        self._finalizer()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r}, {self.family}, {len(self.layers)} MoE layers)"

    def check(self, *, headers_only: bool = False) -> Report:
        """Everything that is wrong or odd with it, values included."""
        return check(self.path, headers_only=headers_only)

    def tensors(self, layer: int) -> list[Tensor]:
        """The tensors that a layer's routed experts are stored in."""
        entries = json.loads(_library.text("moe_checkpoint_tensors", self.handle, layer))
        return [Tensor(entry["name"], entry["type"], tuple(entry["shape"])) for entry in entries]

    def plan(
        self,
        *,
        weights: str | None = None,
        tensor_parallel: int = 1,
        expert_parallel: int = 1,
        max_tokens: int = 512,
        backend: str = "cpu",
    ) -> Plan:
        """What each rank of the grid would read and hold, exactly, before anything is allocated."""
        options = Options(
            weights=weights, backend=backend, tensor_parallel=tensor_parallel, expert_parallel=expert_parallel
        ).struct()
        facts = json.loads(_library.text("moe_checkpoint_plan", self.handle, options, max_tokens))
        names = RankPlan.__dataclass_fields__
        ranks = [RankPlan(**{name: rank[name] for name in names}) for rank in facts["ranks"]]
        return Plan(ranks, facts["notes"], facts)
