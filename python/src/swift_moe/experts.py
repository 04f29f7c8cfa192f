# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""The experts of one layer."""

from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _library
from ._options import Options
from ._tensors import as_array, contiguous, empty_like, refuse_gradients, struct
from .checkpoint import Checkpoint
from .errors import InvalidArgument


@dataclass(frozen=True)
class ExpertsInfo:
    """The sizes of a layer in memory: see `moe_layer_info` in moe.h."""

    hidden_size: int
    model_size: int
    intermediate_size: int
    expert_count: int
    local_expert_count: int
    id_count: int
    top_k: int
    resident_bytes: int
    has_router: bool
    has_block: bool


class Job:
    """A forward under way. Its arrays are kept until it is done."""

    def __init__(self, handle: int, output: Any, kept: object) -> None:
        self._handle: int | None = handle
        self._output, self._kept = output, kept

    def wait(self) -> Any:
        """The output, once it is there; raises what went wrong."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            _library.call("moe_job_wait", handle)
        return self._output

    def __del__(self) -> None:
        # What the arrays point to must stay until the job has run.
        try:
            self.wait()
        except Exception:
            pass


class Experts:
    """The experts of one layer in memory.

    >>> experts = Experts.load(checkpoint, layer=0, weights="int4-g128")
    >>> y = experts(x, topk_ids, topk_weights)              # Σ weight · expert, like x
    >>> y = experts.block(x)                                # gate, router, shared experts and all
    """

    def __init__(self, handle: int) -> None:
        """Takes a `moe_layer` over; use `load` or `from_weights`."""
        self.handle = handle
        self._finalizer = weakref.finalize(self, _library.call, "moe_layer_free", handle)
        self._finalizer.atexit = False
        info = _library.LayerInfo()
        _library.call("moe_layer_describe", handle, info)
        self.info = ExpertsInfo(
            **{name: getattr(info, name) for name in _library.LayerInfo.sizes},
            has_router=bool(info.has_router),
            has_block=bool(info.has_block),
        )

    @classmethod
    def load(
        cls,
        checkpoint: Checkpoint,
        layer: int,
        *,
        weights: str | None = None,
        backend: str = "cpu",
        activations: str | None = None,
        threads: int = 0,
        tensor_parallel: int = 1,
        expert_parallel: int = 1,
        rank: int = 0,
        experts_only: bool = False,
    ) -> Experts:
        """Loads a layer, or a rank's share of its experts.

        Args:
            weights: what weights are converted to while they load, such as "bf16", "fp8-block" or "int4-g128"; as they
                are when None.
            backend: "cpu", "cuda" or "cuda:N" for an NVIDIA GPU, or "reference".
            activations: what tokens and the intermediate are rounded to before they are multiplied: "f32", "bf16", "int8"
                (cpu), "fp8" (cuda) or "declared" by the checkpoint (reference, cuda); when None "f32", with cuda "bf16".
            threads: workers; 0 is one for each processor.
            experts_only: leaves out the gate, the router, the shared experts.
        """
        options = Options(
            weights, backend, activations, threads, tensor_parallel, expert_parallel, rank, experts_only
        ).struct()
        return cls(_library.handle("moe_layer_load", checkpoint.handle, layer, options))

    @classmethod
    def from_weights(
        cls,
        *,
        down: Any,
        gate_up: Any = None,
        gate: Any = None,
        up: Any = None,
        gate_up_bias: Any = None,
        gate_bias: Any = None,
        up_bias: Any = None,
        down_bias: Any = None,
        activation: str = "silu",
        alpha: float = 0,
        limit: float = 0,
        input_major: bool = False,
        interleaved: bool = False,
        weight_on_input: bool = False,
        options: Options = Options(),
    ) -> Experts:
        """Packs experts from arrays `[experts, out, in]`, which are read during the call only.

        Args:
            gate_up: `[experts, 2I, H]`; or `gate` and `up`, or `up` alone, `[experts, I, H]`.
            down: `[experts, H, I]`.
            input_major: whether they are `[experts, in, out]`.
            interleaved: whether rows of gate and up alternate; otherwise gate is the first half.
            alpha, limit: the slope of the sigmoid and the clamp before it; 0 is what the activation's name says.
        """
        given = {
            "gate_up": gate_up,
            "gate": gate,
            "up": up,
            "down": down,
            "gate_up_bias": gate_up_bias,
            "gate_bias": gate_bias,
            "up_bias": up_bias,
            "down_bias": down_bias,
        }
        arrays = {name: contiguous(as_array(array, name)) for name, array in given.items() if array is not None}
        weights = _library.Weights(
            **{name: struct(array, name) for name, array in arrays.items()},
            input_major=int(input_major),
            interleaved=int(interleaved),
            activation=activation.encode(),
            alpha=alpha,
            limit=limit,
            weight_on_input=int(weight_on_input),
        )
        return cls(_library.handle("moe_layer_create", weights, options.struct()))

    def close(self) -> None:
        """Frees the memory. Later calls raise InvalidHandle."""
        self._finalizer()

    def __enter__(self) -> Experts:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        info = self.info
        return f"Experts({info.expert_count} experts, {info.hidden_size} × {info.intermediate_size}, {info.resident_bytes} bytes)"

    def __call__(self, x: Any, topk_ids: Any, topk_weights: Any, *, out: Any = None) -> Any:
        """Σ weight · expert of `x` `[…, hidden]`, by a routing `[…, k]`; an id of -1 is skipped.

        Hidden states and weights are float32, bfloat16 or float16, ids int32 or int64. The result is like `x`, or `out`.
        """
        batch, output, kept = self._batch(x, out, topk_ids=topk_ids, topk_weights=topk_weights)
        _library.call("moe_layer_forward", self.handle, batch)
        return output

    def routed(self, x: Any, router_logits: Any, *, token_ids: Any = None, out: Any = None) -> Any:
        """Σ weight · expert, routed by the layer's router from logits `[…, ids]`."""
        batch, output, kept = self._batch(x, out, router_logits=router_logits, token_ids=token_ids)
        _library.call("moe_layer_forward", self.handle, batch)
        return output

    def block(self, x: Any, *, token_ids: Any = None, out: Any = None) -> Any:
        """The whole block: gate, router, experts, shared experts."""
        batch, output, kept = self._batch(x, out, whole_block=True, token_ids=token_ids)
        _library.call("moe_layer_forward", self.handle, batch)
        return output

    def route(self, x: Any, *, token_ids: Any = None) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The routing that the layer's own gate gives, `[tokens, k]` both: that of a run of the whole block."""
        tokens = int(np.prod(x.shape[:-1]))
        ids = np.empty((tokens, self.info.top_k), np.int32)
        weights = np.empty((tokens, self.info.top_k), np.float32)
        batch, _, kept = self._batch(
            x, None, whole_block=True, token_ids=token_ids, routing_ids=ids, routing_weights=weights
        )
        _library.call("moe_layer_forward", self.handle, batch)
        return ids, weights

    def submit(self, x: Any, topk_ids: Any, topk_weights: Any, *, out: Any = None) -> Job:
        """As a call, on a thread of the library; `wait()` gives the result. Jobs run in the order of submission."""
        batch, output, kept = self._batch(x, out, topk_ids=topk_ids, topk_weights=topk_weights)
        return Job(_library.handle("moe_layer_submit", self.handle, batch), output, kept)

    def loads(self, *, reset: bool = False) -> NDArray[np.int64]:
        """How many slots each expert was routed to in all forwards, `[ids]`."""
        counts = np.zeros(self.info.id_count, np.int64)
        pointer = counts.ctypes.data_as(ctypes.POINTER(ctypes.c_int64))
        _library.call("moe_layer_loads", self.handle, pointer, len(counts), int(reset))
        return counts

    def _batch(
        self, x: Any, out: Any, *, whole_block: bool = False, **tensors: Any
    ) -> tuple[_library.Batch, Any, list[Any]]:
        """The batch, its output, and the arrays that its pointers are of."""
        refuse_gradients(x, "x")
        array = as_array(x, "x")
        if array.ndim < 1:
            raise InvalidArgument("x: expected [..., hidden], found a scalar")
        output = empty_like(array, array.shape) if out is None else as_array(out, "out")
        kept = [output]
        batch = _library.Batch(whole_block=int(whole_block))
        batch.hidden = _matrix(array, "x", kept)
        batch.output = struct(_view(output), "out")
        for name, tensor in tensors.items():
            if tensor is None:
                continue
            array = as_array(tensor, name)
            if name == "token_ids":
                array = array.reshape(-1)
                kept.append(array)
                setattr(batch, name, struct(array, name))
            else:
                setattr(batch, name, _matrix(array, name, kept))
        return batch, output if out is None else out, kept


def _matrix(array: Any, name: str, kept: list[Any]) -> _library.TensorStruct:
    """`[tokens, width]` of `[…, width]`: a view where strides allow, a copy otherwise."""
    if array.ndim != 2:
        if array.ndim < 1:
            raise InvalidArgument(f"{name}: expected [..., width], found a scalar")
        array = array.reshape(-1, array.shape[-1])
    kept.append(array)
    return struct(array, name)


def _view(output: Any) -> Any:
    """`[tokens, width]` of the memory that is written: never a copy."""
    if output.ndim == 2:
        return output
    view = output.reshape(-1, output.shape[-1]) if output.ndim > 0 else None
    if view is None or struct(view, "out").data != struct(output, "out").data:
        raise InvalidArgument("out: expected an array that can be seen as [tokens, hidden] without a copy")
    return view


class Loader:
    """Fills a layer by tensors that come from elsewhere than the checkpoint's files, in any order.

    >>> loader = Loader(checkpoint, layer=0)
    >>> for tensor in checkpoint.tensors(0):
    ...     loader.push(tensor.name, stream[tensor.name])
    >>> experts = loader.finish()
    """

    def __init__(self, checkpoint: Checkpoint, layer: int, options: Options = Options()) -> None:
        self.handle = _library.handle("moe_loader_create", checkpoint.handle, layer, options.struct())
        self._finalizer = weakref.finalize(self, _library.call, "moe_loader_free", self.handle)
        self._finalizer.atexit = False
        self._experts: Experts | None = None

    def push(self, name: str, array: Any) -> None:
        """Takes a whole tensor, under the name and in the type that the checkpoint has."""
        array = contiguous(as_array(array, name))
        _library.call("moe_loader_push", self.handle, name.encode(), struct(array, name))

    def finish(self) -> Experts:
        """The experts, when every tensor has come. A second stream replaces them in place."""
        if self._experts is None:
            self._experts = Experts(_library.handle("moe_loader_finish", self.handle))
        else:
            _library.call("moe_loader_finish", self.handle, None)
        return self._experts
