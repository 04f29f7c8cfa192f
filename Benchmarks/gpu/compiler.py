# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""Compiles the CUDA kernels with NVRTC, in parallel, and remembers the results by what they were made from."""
import concurrent.futures
import ctypes
import glob
import hashlib
import os
import re
import site
import sys

KERNELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Sources/CAccelerators/kernels")
HEADERS = os.path.join(KERNELS, "../include")


def _library(name, version):
    """A library of a Python package, of the toolkit, or wherever the loader finds it."""
    folders = [os.path.join(f, "nvidia/*/lib") for f in site.getsitepackages() + sys.path] + ["/usr/local/cuda/lib64"]
    found = [path for folder in folders for path in sorted(glob.glob(os.path.join(folder, f"{name}.so.{version}")))]
    return found[0] if found else f"{name}.so"


def _compile(job):
    folder, source, options, output = job
    if os.path.exists(output):
        return open(output + ".log").read()
    ctypes.CDLL(_library("libnvrtc-builtins", "[0-9]*.[0-9]*"), mode=ctypes.RTLD_GLOBAL)
    nvrtc = ctypes.CDLL(_library("libnvrtc", "[0-9]*"))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    text = open(os.path.join(folder, source), "rb").read()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, source.encode(), 0, None, None)
    flags = ["--gpu-architecture=sm_90a", "--std=c++17", "-default-device", "-lineinfo", "-I" + folder, "-I" + HEADERS, "--ptxas-options=-v"]
    flags += options
    failed = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*[f.encode() for f in flags]))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    log = log.value.decode()
    if failed:
        raise RuntimeError(f"{source} {' '.join(options)}:\n{log}")
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    with open(output + ".log", "w") as file:
        file.write(log)
    with open(output, "wb") as file:
        file.write(cubin.raw)
    return log


def compile_all(kernels, cache, folder=KERNELS):
    """{name: (source, {macro: value}[, folder])} to {name: path of the cubin}; says what spills or serialises."""
    os.makedirs(cache, exist_ok=True)
    jobs = {}
    for name, (source, macros, *other) in kernels.items():
        place = other[0] if other else folder
        options = [f"-D{key}={value}" for key, value in sorted(macros.items())]
        digest = hashlib.sha256(" ".join([source] + options).encode())
        for path in sorted(glob.glob(os.path.join(place, "*.cu*")) + glob.glob(os.path.join(HEADERS, "*.h"))):
            digest.update(open(path, "rb").read())
        jobs[name] = (place, source, options, os.path.join(cache, f"{name}-{digest.hexdigest()[:16]}.cubin"))
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, log in zip(jobs, pool.map(_compile, jobs.values())):
            registers = re.search(r"Used (\d+) registers", log)
            spills = sum(int(count) for count in re.findall(r"(\d+) bytes spill stores", log))
            warnings = re.findall(r"C75\d\d[^\n]*", log)
            if spills or warnings:
                print(f"{name}: {registers.group(1)} registers, {spills} bytes spilled {' '.join(warnings)}", flush=True)
    return {name: job[3] for name, job in jobs.items()}
