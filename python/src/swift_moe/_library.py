# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""libmoe.so: its functions, structures and results."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

from .errors import CheckpointError, DeviceError, InvalidArgument, InvalidHandle, MoEError, OutOfMemory, Unsupported

ABI_VERSION = 1

MAX_RANK = 4


class TensorStruct(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("shape", c_int64 * MAX_RANK),
        ("strides", c_int64 * MAX_RANK),
    ]


class Sized(Structure):
    """A structure that begins with its size."""

    def __init__(self, **values: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(type(self)), **values)


class LoadOptions(Sized):
    _fields_ = [
        ("struct_size", c_size_t),
        ("backend", c_char_p),
        ("weight_type", c_char_p),
        ("activations", c_char_p),
        ("threads", c_int32),
        ("tensor_parallel", c_int32),
        ("expert_parallel", c_int32),
        ("rank", c_int32),
        ("experts_only", c_int32),
    ]


class Weights(Sized):
    tensors = ("gate_up", "gate", "up", "down", "gate_up_bias", "gate_bias", "up_bias", "down_bias")
    _fields_ = [
        ("struct_size", c_size_t),
        *((name, TensorStruct) for name in tensors),
        ("input_major", c_int32),
        ("interleaved", c_int32),
        ("activation", c_char_p),
        ("alpha", c_float),
        ("limit", c_float),
        ("weight_on_input", c_int32),
    ]


class LayerInfo(Sized):
    sizes = (
        "hidden_size",
        "model_size",
        "intermediate_size",
        "expert_count",
        "local_expert_count",
        "id_count",
        "top_k",
        "resident_bytes",
    )
    _fields_ = [
        ("struct_size", c_size_t),
        *((name, c_int64) for name in sizes),
        ("has_router", c_int32),
        ("has_block", c_int32),
    ]


class Batch(Sized):
    tensors = (
        "hidden",
        "output",
        "topk_ids",
        "topk_weights",
        "router_logits",
        "token_ids",
        "routing_ids",
        "routing_weights",
    )
    _fields_ = [("struct_size", c_size_t), *((name, TensorStruct) for name in tensors), ("whole_block", c_int32)]


HANDLE = c_void_p
PROTOTYPES: dict[str, list[Any]] = {
    "moe_checkpoint_open": [c_char_p, POINTER(HANDLE)],
    "moe_checkpoint_free": [HANDLE],
    "moe_checkpoint_describe": [HANDLE, POINTER(c_void_p)],
    "moe_checkpoint_tensors": [HANDLE, c_int32, POINTER(c_void_p)],
    "moe_checkpoint_plan": [HANDLE, POINTER(LoadOptions), c_int64, POINTER(c_void_p)],
    "moe_check": [c_char_p, c_int32, POINTER(c_void_p)],
    "moe_layer_load": [HANDLE, c_int32, POINTER(LoadOptions), POINTER(HANDLE)],
    "moe_layer_create": [POINTER(Weights), POINTER(LoadOptions), POINTER(HANDLE)],
    "moe_layer_free": [HANDLE],
    "moe_layer_describe": [HANDLE, POINTER(LayerInfo)],
    "moe_layer_forward": [HANDLE, POINTER(Batch)],
    "moe_layer_submit": [HANDLE, POINTER(Batch), POINTER(HANDLE)],
    "moe_layer_loads": [HANDLE, POINTER(c_int64), c_int64, c_int32],
    "moe_job_wait": [HANDLE],
    "moe_loader_create": [HANDLE, c_int32, POINTER(LoadOptions), POINTER(HANDLE)],
    "moe_loader_push": [HANDLE, c_char_p, POINTER(TensorStruct)],
    "moe_loader_finish": [HANDLE, POINTER(HANDLE)],
    "moe_loader_free": [HANDLE],
    "moe_activation_value": [POINTER(Weights), c_double, c_double, POINTER(c_double)],
}

ERRORS: dict[int, type[MoEError]] = {
    1: InvalidArgument,
    2: InvalidHandle,
    3: CheckpointError,
    4: Unsupported,
    5: OutOfMemory,
    6: DeviceError,
}


def _load() -> ctypes.CDLL:
    path = Path(os.environ.get("SWIFT_MOE_LIBRARY") or Path(__file__).with_name("libmoe.so"))
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(
            f"{path} can't be loaded ({error}): install the package with pip, or set SWIFT_MOE_LIBRARY"
        ) from error
    library.moe_abi_version.restype = c_uint32
    if library.moe_abi_version() < ABI_VERSION:
        raise ImportError(f"{path} is of an older version than this package")
    for name in ("moe_version", "moe_last_error"):
        getattr(library, name).restype = c_char_p
    library.moe_string_free.argtypes = [c_void_p]
    for name, arguments in PROTOTYPES.items():
        getattr(library, name).argtypes = arguments
        getattr(library, name).restype = c_int32
    return library


_library = _load()


def version() -> str:
    return bytes(_library.moe_version()).decode()


def call(name: str, *arguments: Any) -> None:
    """Calls a function that gives a result; raises what it says is wrong."""
    result = getattr(_library, name)(*arguments)
    if result != 0:
        raise ERRORS.get(result, MoEError)(bytes(_library.moe_last_error()).decode())


def text(name: str, *arguments: Any) -> str:
    """Calls a function whose last argument gives a text."""
    pointer = c_void_p()
    call(name, *arguments, byref(pointer))
    try:
        return ctypes.string_at(pointer.value or 0).decode()
    finally:
        _library.moe_string_free(pointer)


def handle(name: str, *arguments: Any) -> int:
    """Calls a function whose last argument gives a handle."""
    pointer = HANDLE()
    call(name, *arguments, byref(pointer))
    return pointer.value or 0


def encoded(text: str | os.PathLike[str] | None) -> bytes | None:
    return None if text is None else os.fsencode(text)
