# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Where and how experts are kept and computed."""

from __future__ import annotations

from dataclasses import dataclass

from . import _library


@dataclass(frozen=True)
class Options:
    """The options of a load: see `moe_load_options` in moe.h."""

    weights: str | None = None
    backend: str = "cpu"
    activations: str | None = None
    threads: int = 0
    tensor_parallel: int = 1
    expert_parallel: int = 1
    rank: int = 0
    experts_only: bool = False

    def struct(self) -> _library.LoadOptions:
        return _library.LoadOptions(
            backend=self.backend.encode(),
            weight_type=None if self.weights is None else self.weights.encode(),
            activations=None if self.activations is None else self.activations.encode(),
            threads=self.threads,
            tensor_parallel=self.tensor_parallel,
            expert_parallel=self.expert_parallel,
            rank=self.rank,
            experts_only=int(self.experts_only),
        )
