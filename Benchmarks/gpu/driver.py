# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""The CUDA driver: kernels, launches, tensor maps, times by graph replay."""
import ctypes
import struct

import torch

cuda = ctypes.CDLL("libcuda.so.1")
BYTES, LONG_WORDS, BF16 = 0, 4, 9  # element types of tensor maps


def call(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        cuda.cuGetErrorName(code, ctypes.byref(text))
        raise RuntimeError(f"{name}: {text.value}")


class Attribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint), ("pad", ctypes.c_uint), ("value", ctypes.c_uint * 16)]


class Configuration(ctypes.Structure):
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared", ctypes.c_uint),
                ("stream", ctypes.c_void_p), ("attributes", ctypes.c_void_p), ("count", ctypes.c_uint)]


def aligned(data, alignment=64):
    """A copy of bytes in memory, its owner and its address."""
    owner = ctypes.create_string_buffer(len(data) + alignment)
    address = (ctypes.addressof(owner) + alignment - 1) & ~(alignment - 1)
    ctypes.memmove(address, data, len(data))
    return owner, address


class Kernel:
    """A kernel of a cubin; it starts while the one before it in the stream still runs, and waits for it by itself."""

    def __init__(self, path, name, shared=0):
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        call("cuModuleLoadData", ctypes.byref(module), open(path, "rb").read())
        call("cuModuleGetFunction", ctypes.byref(self.function), module, name.encode())
        self.shared = shared
        if shared > 48 * 1024:
            call("cuFuncSetAttribute", self.function, 8, shared)

    def __call__(self, grid, block, *parameters, overlap=True, cooperative=False):
        copies = [aligned(p) for p in parameters]
        pointers = (ctypes.c_void_p * len(copies))(*[address for _, address in copies])
        attributes = (Attribute * 2)()
        wanted = [id for id, is_wanted in ((6, overlap), (2, cooperative)) if is_wanted]
        for attribute, id in zip(attributes, wanted):
            attribute.id, attribute.value[0] = id, 1
        configuration = Configuration((grid, 1, 1), (block, 1, 1), self.shared, torch.cuda.current_stream().cuda_stream,
                                      ctypes.addressof(attributes), len(wanted))
        call("cuLaunchKernelEx", ctypes.byref(configuration), self.function, pointers, None)


def tensor_map(address, type, sizes, strides, box, swizzled=True):
    owner, place = aligned(bytes(128))
    n = len(sizes)
    call("cuTensorMapEncodeTiled", ctypes.c_void_p(place), type, n, ctypes.c_void_p(address), (ctypes.c_uint64 * n)(*sizes),
         (ctypes.c_uint64 * (n - 1))(*strides), (ctypes.c_uint32 * n)(*box), (ctypes.c_uint32 * n)(*[1] * n), 0,
         3 if swizzled else 0, 3, 0)
    return ctypes.string_at(place, 128)


def pack(*values):
    """Tensors and None as pointers, ints as 32 bits, floats as floats; a tuple is (struct format, value)."""
    data = b""
    for value in values:
        if value is None or isinstance(value, torch.Tensor):
            data += struct.pack("Q", 0 if value is None else value.data_ptr())
        elif isinstance(value, tuple):
            data += struct.pack("<" + value[0], value[1])
        else:
            data += struct.pack("f" if isinstance(value, float) else "i", value)
    return data


def seconds(calls, repeats=9):
    """Median time of one of `calls`, replayed as one graph."""
    for c in calls[:2]:
        c()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for c in calls:
            c()
    graph.replay()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e-3 / len(calls))
    return sorted(times)[len(times) // 2]
