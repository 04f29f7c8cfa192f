# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Arrays of NumPy, torch and DLPack as the library's tensors, without copies."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._library import MAX_RANK, TensorStruct
from .errors import InvalidArgument, Unsupported

# Their numbers in moe.h, by the names of NumPy (with ml_dtypes) and torch.
DTYPES = {
    name: number
    for number, names in enumerate(
        (
            "float64",
            "float32",
            "float16",
            "bfloat16",
            "float8_e4m3fn",
            "float8_e5m2",
            "float8_e4m3fnuz",
            "float8_e5m2fnuz",
            "float8_e8m0fnu",
            "float4_e2m1fn_x2",
            "int64",
            "uint64",
            "int32",
            "uint32",
            "int16",
            "uint16",
            "int8",
            "uint8",
            "bool",
        ),
        start=1,
    )
    for name in [names]
}


def is_torch(array: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def as_array(array: Any, name: str) -> Any:
    """A NumPy array or a torch tensor in host memory: itself, or a view of what speaks DLPack."""
    if is_torch(array):
        if array.device.type != "cpu":
            raise InvalidArgument(f"{name}: the tensor is on another device: expected cpu, found {array.device}; use .cpu()")
        if array.layout != sys.modules["torch"].strided:
            raise InvalidArgument(f"{name}: the tensor is not strided: found {array.layout}; use .to_dense()")
        return array.detach()
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "__dlpack__"):
        if array.__dlpack_device__()[0] != 1:
            raise InvalidArgument(f"{name}: the array is on another device: expected the CPU")
        return np.from_dlpack(array)
    raise InvalidArgument(f"{name}: no array: expected NumPy, torch or DLPack, found {type(array).__name__}")


def struct(array: Any, name: str) -> TensorStruct:
    """The tensor's memory as it is. The array must outlive the structure."""
    if is_torch(array):
        dtype, pointer = str(array.dtype).removeprefix("torch."), array.data_ptr()
        shape, strides = tuple(array.shape), array.stride()
    else:
        dtype, pointer = array.dtype.name, array.ctypes.data
        shape = array.shape
        if not array.dtype.isnative:
            raise InvalidArgument(f"{name}: the array has another byte order than this machine")
        size = array.dtype.itemsize
        if any(stride % size for stride in array.strides):
            raise InvalidArgument(f"{name}: strides are no whole elements: found {array.strides} bytes")
        strides = tuple(stride // size for stride in array.strides)
    if dtype not in DTYPES:
        raise InvalidArgument(f"{name}: an array of another type: found {dtype}")
    if len(shape) > MAX_RANK:
        raise InvalidArgument(f"{name}: too many axes: expected at most {MAX_RANK}, found {len(shape)}")
    # An empty array has no memory, and is given all the same.
    result = TensorStruct(data=pointer or 64, dtype=DTYPES[dtype], rank=len(shape))
    for axis, (extent, stride) in enumerate(zip(shape, strides)):
        result.shape[axis], result.strides[axis] = extent, stride
    return result


def empty_like(array: Any, shape: Sequence[int]) -> Any:
    """An array of the same library and type."""
    if is_torch(array):
        return sys.modules["torch"].empty(tuple(shape), dtype=array.dtype)
    return np.empty(tuple(shape), array.dtype)


def contiguous(array: Any) -> Any:
    return array.contiguous() if is_torch(array) else np.ascontiguousarray(array)


def refuse_gradients(array: Any, name: str) -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.is_grad_enabled() and isinstance(array, torch.Tensor) and array.requires_grad:
        raise Unsupported(f"{name}: gradients are not computed by these experts; use torch.no_grad()")
