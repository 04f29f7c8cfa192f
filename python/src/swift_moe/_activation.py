# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Which activation a module of experts has: found by trying, so that no name can lie."""

from __future__ import annotations

import itertools
from ctypes import byref, c_double
from typing import Any

from . import _library
from .errors import Unsupported

# The names of moe.h, gated and not.
GATED = ("silu", "gelu", "gelu_tanh", "swigluoai")
PLAIN = ("relu2_no_mul", "silu_no_mul", "gelu_no_mul", "gelu_tanh_no_mul")

# Beyond the clamps of all models, and close to 0.
GATES = (-30.0, -9.5, -3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 2.5, 6.5, 9.5, 30.0)
UPS = (-30.0, -2.0, 0.5, 8.5, 30.0)


def activation_of(module: Any) -> dict[str, Any]:
    """`activation`, `alpha` and `limit` of `Experts.from_weights`.

    Raises Unsupported for a function that is none of the library's.
    """
    import torch

    has_gate = getattr(module, "has_gate", True)
    points = list(itertools.product(GATES, UPS)) if has_gate else [(0.0, gate) for gate in GATES]
    pairs = torch.tensor(points, dtype=torch.float64)
    with torch.no_grad():
        if not has_gate:
            expected = module.act_fn(pairs[:, 1])
        elif hasattr(module, "_apply_gate"):
            expected = module._apply_gate(pairs).squeeze(-1)
        else:
            expected = module.act_fn(pairs[:, 0]) * pairs[:, 1]
    wanted = expected.double().tolist()
    alphas = _numbers(module, "alpha", "swiglu_alpha")
    limits = _numbers(module, "limit", "swiglu_limit")
    for name, alpha, limit in itertools.product(GATED if has_gate else PLAIN, alphas, limits):
        candidate = _library.Weights(activation=name.encode(), alpha=alpha, limit=limit)
        if all(
            abs(_value(candidate, gate, up) - value) <= 1e-6 * max(1, abs(value))
            for (gate, up), value in zip(points, wanted)
        ):
            return {"activation": name, "alpha": alpha, "limit": limit}
    raise Unsupported(
        f"{type(module).__name__}: its activation is none of {', '.join(GATED + PLAIN)}, with alpha {alphas} and limit {limits}"
    )


def _numbers(module: Any, *names: str) -> list[float]:
    """0, which is the activation's own, and what the module has under these names."""
    values = [getattr(module, name, None) for name in names]
    return [0.0, *(float(value) for value in values if isinstance(value, (int, float)) and value > 0)]


def _value(weights: _library.Weights, gate: float, up: float) -> float:
    result = c_double()
    _library.call("moe_activation_value", weights, gate, up, byref(result))
    return float(result.value)
