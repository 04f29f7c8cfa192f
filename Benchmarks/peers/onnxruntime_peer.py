# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors

"""Experts in onnxruntime's com.microsoft.MoE (f32) and QMoE (int8 by channel, int4 in blocks of 32)."""

import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from peer import EXPERTS, HIDDEN, INTERMEDIATE, THREADS, TOP_K, WEIGHTS, answer, best, layers, routings

BITS = {"f32": 32, "int8": 8, "int4": 4}.get(WEIGHTS) or sys.exit(0)
BLOCK = 32 if WEIGHTS == "int4" else 0


def matrix(rows, columns, generator):
    """Codes and scales of all experts, or floats: the same for each."""
    if WEIGHTS == "f32":
        expert = generator.standard_normal((rows, columns), dtype=np.float32) * 0.02
        return [np.tile(expert, (EXPERTS, 1, 1))]
    codes = generator.integers(0, 256, (rows, columns * BITS // 8), dtype=np.uint8)
    scales = np.full((EXPERTS, rows, columns // BLOCK) if BLOCK else (EXPERTS, rows), 0.004, np.float32)
    return [np.tile(codes, (EXPERTS, 1, 1)), scales]


def session():
    generator = np.random.default_rng(0)
    parts = [matrix(2 * INTERMEDIATE, HIDDEN, generator), matrix(HIDDEN, INTERMEDIATE, generator)]
    names = [[f"{letter}{i}" for letter in "ws"[: len(part)]] for i, part in enumerate(parts)]
    attributes = dict(
        domain="com.microsoft", k=TOP_K, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1,
        activation_alpha=1.0, activation_beta=0.0,
    )
    if WEIGHTS == "f32":
        inputs = ["x", "r", names[0][0], "", names[1][0], ""]
    else:
        inputs = ["x", "r", *names[0], "", *names[1], ""]
        attributes["expert_weight_bits"] = BITS
        if BLOCK:
            attributes["block_size"] = BLOCK
    node = helper.make_node("MoE" if WEIGHTS == "f32" else "QMoE", inputs, ["y"], **attributes)
    arrays = {name: array for ns, part in zip(names, parts) for name, array in zip(ns, part)}
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "experts", [info("x", TensorProto.FLOAT, ["T", HIDDEN]), info("r", TensorProto.FLOAT, ["T", EXPERTS])],
        [info("y", TensorProto.FLOAT, ["T", HIDDEN])], [external(name, array) for name, array in arrays.items()],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
    options.add_external_initializers(list(arrays), values)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]), values


def external(name, array):
    """A tensor whose bytes the session is given apart: a model of more than 2 GB can't hold them."""
    tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(array.dtype), dims=array.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "none"), ("offset", "0"), ("length", str(array.nbytes))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def main():
    sessions = [session() for _ in range(layers(BITS))]

    def tasks(tokens):
        logits = []
        for ids, weights in routings(tokens):
            logits.append(np.full((tokens, EXPERTS), -20, np.float32))
            np.put_along_axis(logits[-1], ids, np.log(weights) + 4, 1)
        x = np.random.default_rng(1).standard_normal((tokens, HIDDEN), dtype=np.float32)

        def call(layer, i):
            sessions[layer][0].run(None, {"x": x, "r": logits[i]})

        yield "onnxruntime", best(call, len(sessions), len(logits))

    answer(tasks)


main()
