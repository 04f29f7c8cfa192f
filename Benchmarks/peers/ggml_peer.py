# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Experts in ggml, whose libraries the package llama-cpp-python builds: the graph of llama.cpp's build_moe_ffn.

Weights lie in the buffer that ggml repacks them for, where it has one for their type.
"""

import ctypes
import importlib.util
import os
import sys

import numpy as np

from peer import EXPERTS, HIDDEN, INTERMEDIATE, THREADS, TOP_K, WEIGHTS, answer, best, layers, routings

# Numbers of ggml.h, and bits of a weight.
TYPES = {"bf16": (30, 16), "q8_0": (8, 8.5), "q4_k": (12, 4.5), "q6_k": (14, 6.5625), "mxfp4": (39, 4.25), "nvfp4": (40, 4.5)}
TYPE, BITS = TYPES.get(WEIGHTS) or sys.exit(0)
F32, I32 = 0, 26

folder = os.path.join(os.path.dirname(importlib.util.find_spec("llama_cpp").origin), "lib")
base, cpu = (ctypes.CDLL(os.path.join(folder, f"libggml-{name}.so"), ctypes.RTLD_GLOBAL) for name in ("base", "cpu"))
pointer, size, integer = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64


class Tensor(ctypes.Structure):
    """struct ggml_tensor, to its end."""

    _fields_ = [
        ("type", ctypes.c_int), ("buffer", pointer), ("ne", integer * 4), ("nb", size * 4), ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16), ("flags", ctypes.c_int32), ("src", pointer * 10), ("view_src", pointer),
        ("view_offs", size), ("data", pointer), ("name", ctypes.c_char * 64), ("extra", pointer),
        ("padding", ctypes.c_char * 8),
    ]  # fmt: skip


class InitParameters(ctypes.Structure):
    _fields_ = [("mem_size", size), ("mem_buffer", pointer), ("no_alloc", ctypes.c_bool)]


tensor = ctypes.POINTER(Tensor)


def function(library, name, result, *arguments):
    found = getattr(library, name)
    found.restype, found.argtypes = result, arguments
    return found


init = function(base, "ggml_init", pointer, InitParameters)
free = function(base, "ggml_free", None, pointer)
new_2d = function(base, "ggml_new_tensor_2d", tensor, pointer, ctypes.c_int, integer, integer)
new_3d = function(base, "ggml_new_tensor_3d", tensor, pointer, ctypes.c_int, integer, integer, integer)
view_2d = function(base, "ggml_view_2d", tensor, pointer, tensor, integer, integer, size, size)
mul_mat_id = function(base, "ggml_mul_mat_id", tensor, pointer, tensor, tensor, tensor)
swiglu_split = function(base, "ggml_swiglu_split", tensor, pointer, tensor, tensor)
mul, add = (function(base, f"ggml_{name}", tensor, pointer, tensor, tensor) for name in ("mul", "add"))
new_graph = function(base, "ggml_new_graph", pointer, pointer)
expand = function(base, "ggml_build_forward_expand", None, pointer, tensor)
byte_count = function(base, "ggml_nbytes", size, tensor)
quantize = function(
    base, "ggml_quantize_chunk", size, ctypes.c_int, pointer, pointer, integer, integer, integer, pointer
)
allocate = function(base, "ggml_backend_buft_alloc_buffer", pointer, pointer, size)
start_of = function(base, "ggml_backend_buffer_get_base", pointer, pointer)
place = function(base, "ggml_backend_tensor_alloc", ctypes.c_int, pointer, tensor, pointer)
store = function(base, "ggml_backend_tensor_set", None, tensor, pointer, size, size)
allocate_all = function(base, "ggml_backend_alloc_ctx_tensors", pointer, pointer, pointer)
compute = function(base, "ggml_backend_graph_compute", ctypes.c_int, pointer, pointer)
free_buffer = function(base, "ggml_backend_buffer_free", None, pointer)
address = function(base, "ggml_backend_reg_get_proc_address", pointer, pointer, ctypes.c_char_p)
device = function(base, "ggml_backend_reg_dev_get", pointer, pointer, size)
backend = function(cpu, "ggml_backend_cpu_init", pointer)()
function(cpu, "ggml_backend_cpu_set_n_threads", None, pointer, ctypes.c_int)(backend, THREADS)
registry = function(cpu, "ggml_backend_cpu_reg", pointer)()


def buffer_types():
    """Those that repack, then the plain one."""
    extra = ctypes.CFUNCTYPE(ctypes.POINTER(pointer), pointer)(address(registry, b"ggml_backend_dev_get_extra_bufts"))
    found = extra(device(registry, 0))
    count = 0
    while found and found[count]:
        yield found[count]
        count += 1
    yield function(base, "ggml_backend_cpu_buffer_type", pointer)()


def context(tensors):
    return init(InitParameters(1024 * tensors + (1 << 20), None, True))


def weights(columns, rows):
    """[columns, rows, experts], of which all hold the same numbers: values don't change the speed."""
    values = np.random.default_rng(0).standard_normal((rows, columns), dtype=np.float32) * 0.02
    for kind in buffer_types():
        result = new_3d(context(1), TYPE, columns, rows, EXPERTS)
        buffer = allocate(kind, byte_count(result) + 4096)
        place(buffer, result, start_of(buffer))
        # A type that the buffer can't repack has nothing here, and is tried in the next.
        if result.contents.extra or kind == function(base, "ggml_backend_cpu_buffer_type", pointer)():
            break
        free_buffer(buffer)
    expert = np.empty(byte_count(result) // EXPERTS, np.uint8)
    quantize(TYPE, values.ctypes.data, expert.ctypes.data, 0, rows, columns, None)
    everything = np.tile(expert, EXPERTS)
    store(result, everything.ctypes.data, 0, everything.nbytes)
    return result


class Batch:
    """The graph of a layer for a number of tokens, its inputs and its memory."""

    def __init__(self, layer, tokens):
        gate, up, down = layer
        self.context = context(64 + 2 * TOP_K)
        self.x = new_3d(self.context, F32, HIDDEN, 1, tokens)
        self.ids = new_2d(self.context, I32, TOP_K, tokens)
        self.scores = new_3d(self.context, F32, 1, TOP_K, tokens)
        c = self.context
        hidden = swiglu_split(c, mul_mat_id(c, gate, self.x, self.ids), mul_mat_id(c, up, self.x, self.ids))
        rows = mul(c, mul_mat_id(c, down, hidden, self.ids), self.scores)
        stride = rows.contents.nb
        parts = [view_2d(c, rows, HIDDEN, tokens, stride[2], slot * stride[1]) for slot in range(TOP_K)]
        total = parts[0]
        for part in parts[1:]:
            total = add(c, total, part)
        self.graph = new_graph(c)
        expand(self.graph, total)
        self.memory = allocate_all(c, backend)
        self.fill(self.x, np.random.default_rng(1).standard_normal((tokens, HIDDEN), dtype=np.float32))

    def fill(self, target, array):
        store(target, array.ctypes.data, 0, array.nbytes)

    def run(self, ids, scores):
        self.fill(self.ids, ids)
        self.fill(self.scores, scores)
        compute(backend, self.graph)

    def end(self):
        free_buffer(self.memory)
        free(self.context)


def main():
    made = [
        (weights(HIDDEN, INTERMEDIATE), weights(HIDDEN, INTERMEDIATE), weights(INTERMEDIATE, HIDDEN))
        for _ in range(layers(BITS))
    ]

    def tasks(tokens):
        graphs = [Batch(layer, tokens) for layer in made]
        routed = routings(tokens)
        yield "ggml", best(lambda layer, i: graphs[layer].run(*routed[i]), len(graphs), len(routed))
        for graph in graphs:
            graph.end()

    answer(tasks)


main()
