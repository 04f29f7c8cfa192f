# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Routing of a model: captured from one run, given to another."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgument, Unsupported


class Routes:
    """Which experts each token went to in each layer, and with what weight.

    >>> with swift_moe.capture(model) as routes:
    ...     model.generate(...)
    >>> routes.ids.shape                                    # [tokens, layers, k], int16
    """

    def __init__(self) -> None:
        # By module, or by the place of a layer in the order of the first run, once a file was read.
        self._ids: dict[object, list[NDArray[np.int32]]] = {}
        self._weights: dict[object, list[NDArray[np.float32]]] = {}

    def add(self, layer: object, ids: Any, weights: Any) -> None:
        """Notes what a layer was given, `[tokens, k]` both."""
        self._ids.setdefault(layer, []).append(ids.detach().cpu().numpy().astype(np.int32))
        self._weights.setdefault(layer, []).append(weights.detach().float().cpu().numpy().copy())

    @property
    def layer_count(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> NDArray[np.int16]:
        """`[tokens, layers, k]`, −1 where a slot was skipped."""
        return self._stack(self._ids).astype(np.int16)

    @property
    def weights(self) -> NDArray[np.float32]:
        """`[tokens, layers, k]`"""
        return self._stack(self._weights).astype(np.float32)

    @staticmethod
    def _stack(records: dict[object, list[Any]]) -> NDArray[Any]:
        layers = [np.concatenate(parts) for parts in records.values()]
        if not layers:
            raise InvalidArgument("nothing was captured: no experts ran, or they ran by another implementation; name the model")
        if len({layer.shape for layer in layers}) > 1:
            raise InvalidArgument(f"layers of different routings: {sorted({layer.shape for layer in layers})}")
        return np.stack(layers, axis=1)

    def save(self, path: str) -> None:
        """Writes an .npz file."""
        np.savez(path, ids=self.ids, weights=self.weights)

    @classmethod
    def load(cls, path: str) -> Routes:
        """Reads an .npz file. Its layers are those of the model in the order that they run in."""
        routes = cls()
        with np.load(path) as file:
            for layer in range(file["ids"].shape[1]):
                routes._ids[layer] = [file["ids"][:, layer].astype(np.int32)]
                routes._weights[layer] = [file["weights"][:, layer]]
        return routes


class Player:
    """Gives each layer its routing again, from the first token on."""

    def __init__(self, routes: Routes) -> None:
        self._layers = [
            (np.concatenate(ids), np.concatenate(weights)) for ids, weights in zip(routes._ids.values(), routes._weights.values())
        ]
        # By module: its place among the layers, and the next token.
        self._places: dict[object, list[int]] = {}

    def next(self, layer: object, ids: Any, weights: Any) -> tuple[Any, Any]:
        import torch

        place = self._places.setdefault(layer, [len(self._places), 0])
        if place[0] >= len(self._layers):
            raise InvalidArgument(f"the routes are of {len(self._layers)} layers, and the model has more")
        first, last = place[1], place[1] + ids.shape[0]
        kept_ids, kept_weights = self._layers[place[0]]
        if last > len(kept_ids):
            raise InvalidArgument(f"the routes of layer {place[0]} end after {len(kept_ids)} tokens, and it has {last}")
        place[1] = last
        return (
            torch.from_numpy(kept_ids[first:last]).to(ids.device, ids.dtype),
            torch.from_numpy(kept_weights[first:last]).to(weights.device, weights.dtype),
        )


Observer = Callable[[object, Any, Any], tuple[Any, Any]]

# Of `capture()` and `replay()` without a model, the last one first.
_observers: list[Observer] = []


def is_active() -> bool:
    return bool(_observers)


def observe(module: object, ids: Any, weights: Any) -> tuple[Any, Any]:
    """The routing that a module of experts runs on, when it was given this one."""
    for observer in reversed(_observers):
        ids, weights = observer(module, ids, weights)
    return ids, weights


@contextmanager
def _observing(model: Any, observer: Observer) -> Iterator[None]:
    """Lets an observer see all experts of a model, whatever runs them; all that this library runs without a model."""
    if model is None:
        _observers.append(observer)
        try:
            yield
        finally:
            _observers.remove(observer)
        return
    from .integration import experts_of

    def hook(module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        bound = inspect.signature(type(module).forward).bind(module, *arguments, **keywords)
        hidden, ids, weights = list(bound.arguments.values())[1:4]
        return (hidden, *observer(module, ids, weights)), {}

    modules = [module for _, module in experts_of(model)]
    if any(not hasattr(module, "_is_expert_parallel") for module in modules):
        raise Unsupported("the experts of this model don't see their routing, so it can't be captured or replayed")
    handles = [module.register_forward_pre_hook(hook, with_kwargs=True) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def capture(model: Any = None) -> Iterator[Routes]:
    """Notes the routing of all experts of a model, or without one of all that this library runs."""
    routes = Routes()

    def note(module: object, ids: Any, weights: Any) -> tuple[Any, Any]:
        routes.add(module, ids, weights)
        return ids, weights

    with _observing(model, note):
        yield routes


@contextmanager
def replay(routes: Routes, model: Any = None) -> Iterator[None]:
    """Gives experts the routing of `routes`, layer by layer and token by token, whatever the router says.

    Tokens come in the order of the capture; how many of them a run has at once need not be the same, for a single sequence.
    """
    with _observing(model, Player(routes).next):
        yield
