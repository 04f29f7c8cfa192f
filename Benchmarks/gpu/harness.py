# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 the swift-moe project authors
"""Drives the cubins of the CUDA kernels: launches, checks against a float32 truth, times by graph replay."""
import ctypes, os, struct, sys, time
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
cuda = ctypes.CDLL("libcuda.so.1")
SHAPES = {"qwen3": (2048, 768, 128, 8), "ds3": (7168, 2048, 32, 8), "gptoss": (2880, 2880, 128, 4),
          "mixtral": (4096, 14336, 8, 2), "odd": (1040, 336, 13, 3)}


def call(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        cuda.cuGetErrorName(code, ctypes.byref(text))
        raise RuntimeError(f"{name}: {text.value}")


class Attribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint), ("pad", ctypes.c_uint), ("value", ctypes.c_uint * 16)]


class Config(ctypes.Structure):
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared", ctypes.c_uint),
                ("stream", ctypes.c_void_p), ("attributes", ctypes.c_void_p), ("count", ctypes.c_uint)]


class Kernel:
    def __init__(self, file, name, shared=0):
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        data = open(os.path.join(HERE, file + ".cubin"), "rb").read()
        call("cuModuleLoadData", ctypes.byref(module), data)
        call("cuModuleGetFunction", ctypes.byref(self.function), module, name.encode())
        self.shared = shared
        if shared > 48 * 1024:
            call("cuFuncSetAttribute", self.function, 8, shared)

    def __call__(self, grid, block, *parameters, overlap=False, cooperative=False):
        buffers = [ctypes.create_string_buffer(p, len(p)) for p in parameters]
        aligned = []
        for b in buffers:  # tensor maps want 64 bytes
            raw = ctypes.create_string_buffer(len(b) + 64)
            start = (ctypes.addressof(raw) + 63) & ~63
            ctypes.memmove(start, b, len(b))
            aligned.append((raw, start))
        pointers = (ctypes.c_void_p * len(aligned))(*[s for _, s in aligned])
        attributes = (Attribute * 2)()
        count = 0
        if overlap:
            attributes[count].id, attributes[count].value[0] = 6, 1
            count += 1
        if cooperative:
            attributes[count].id, attributes[count].value[0] = 2, 1
            count += 1
        config = Config((grid, 1, 1), (block, 1, 1), self.shared, torch.cuda.current_stream().cuda_stream,
                        ctypes.addressof(attributes), count)
        call("cuLaunchKernelEx", ctypes.byref(config), self.function, pointers, None)


def tensor_map(tensor, dtype, dims, strides, box, promotion=3):
    raw = ctypes.create_string_buffer(128 + 64)
    start = (ctypes.addressof(raw) + 63) & ~63
    n = len(dims)
    call("cuTensorMapEncodeTiled", ctypes.c_void_p(start), dtype, n, ctypes.c_void_p(tensor.data_ptr()),
         (ctypes.c_uint64 * n)(*dims), (ctypes.c_uint64 * (n - 1))(*strides), (ctypes.c_uint32 * n)(*box),
         (ctypes.c_uint32 * n)(*[1] * n), 0, 3, promotion, 0)
    return ctypes.string_at(start, 128)


def pointers(*tensors):
    return struct.pack(f"{len(tensors)}Q", *[0 if t is None else t.data_ptr() for t in tensors])


INF = float("inf")
SILU = (1.0, 0.0, INF, INF, 0.0, 0.0)
OAI = (1.702, 1.0, 7.0, INF, 0.0, 0.0)


def quantize_blocks(w):
    """[n, rows, columns] to e4m3 and float32 scales [n, ceil(rows/128), pad4(ceil(columns/128))]."""
    n, r, c = w.shape
    rb, cb = -(-r // 128), -(-c // 128)
    padded = torch.zeros(n, rb * 128, cb * 128, device=w.device)
    padded[:, :r, :c] = w
    blocks = padded.view(n, rb, 128, cb, 128)
    scale = blocks.abs().amax((2, 4)).clamp_min(1e-10) / 448
    codes = (blocks / scale[:, :, None, :, None]).view(n, rb * 128, cb * 128)[:, :r, :c].to(torch.float8_e4m3fn)
    out = torch.ones(n, rb, (cb + 3) // 4 * 4, device=w.device)
    out[:, :, :cb] = scale
    return codes.contiguous(), out


def dequantize_blocks(codes, scale):
    r, c = codes.shape[-2:]
    s = scale.repeat_interleave(128, -2)[..., :r, :].repeat_interleave(128, -1)[..., :c]
    return codes.float() * s


def fake_quantize(x):
    """Rows in groups of 128 as e4m3 with their own scale."""
    c = x.shape[-1]
    padded = torch.nn.functional.pad(x, (0, -c % 128)).view(*x.shape[:-1], -1, 128)
    scale = padded.abs().amax(-1, keepdim=True).clamp_min(1e-10) / 448
    return ((padded / scale).to(torch.float8_e4m3fn).float() * scale).view(*x.shape[:-1], -1)[..., :c]


class Layer:
    def __init__(self, shape, dtype="bf16", bias=False, activation=SILU):
        self.H, self.I, self.E, self.k = SHAPES[shape]
        H, I, E = self.H, self.I, self.E
        self.dtype, self.activation = dtype, activation
        self.w13 = torch.empty(E, 2, I, H, dtype=torch.bfloat16, device="cuda").normal_(0, H ** -0.5)
        self.w2 = torch.empty(E, H, I, dtype=torch.bfloat16, device="cuda").normal_(0, I ** -0.5)
        self.s13 = self.s2 = None
        if dtype == "fp8":
            q13 = torch.empty(E, 2, I, H, dtype=torch.float8_e4m3fn, device="cuda")
            q2 = torch.empty(E, H, I, dtype=torch.float8_e4m3fn, device="cuda")
            s13, s2 = [], []
            for e in range(E):
                q13[e], s = quantize_blocks(self.w13[e].float())
                s13.append(s)
                q2[e], s = (t[0] for t in quantize_blocks(self.w2[e][None].float()))
                s2.append(s)
            self.w13, self.w2, self.s13, self.s2 = q13, q2, torch.stack(s13), torch.stack(s2)
        self.b13 = torch.randn(E, 2, I, device="cuda") if bias else None
        self.b2 = torch.randn(E, H, device="cuda") if bias else None
        self.grid = torch.zeros(2, dtype=torch.int32, device="cuda")
        self.sms = torch.cuda.get_device_properties(0).multi_processor_count
        self.maps = {}
        self.work = None

    def weights_bytes(self, ids):
        touched = ids[ids >= 0].unique().numel()
        one = self.w13[0].numel() * self.w13.element_size() + self.w2[0].numel() * self.w2.element_size()
        if self.s13 is not None:
            one += self.s13[0].numel() * 4 + self.s2[0].numel() * 4
        return touched * one

    def workspace(self, T):
        if self.work is None or self.work[0] < T:
            P = T * self.k
            d = dict(device="cuda")
            self.work = (T, torch.empty(max(P, min(P, 256) * min(T, 8)), self.I, dtype=torch.bfloat16, **d),
                         torch.empty(P, self.H, dtype=torch.bfloat16, **d), torch.empty(self.E + 1, dtype=torch.int32, **d),
                         torch.empty(P, dtype=torch.int32, **d), torch.empty(64 * self.E, dtype=torch.int32, **d))
            self.maps = {}
        return self.work[1:]

    def stream(self, kernel, x, ids, w, y, overlap=True, cooperative=False):
        T = x.shape[0]
        inter = self.workspace(max(T, 8))[0]
        size = 2 if self.dtype == "bf16" else 1
        chunk, sets = kernel.chunk, kernel.sets
        columns = chunk // size
        stage = (16 * (chunk + 64) + T * (columns * 2 + 64) + (0 if size == 2 else 2 * columns // 128 * 4) + 127) & ~127
        stages = min(32, (kernel.shared - kernel.fixed) // stage)
        stages -= stages % sets
        p = pointers(x, ids, w, self.w13, self.w2, self.s13, self.s2, self.b13, self.b2, inter, y, self.grid)
        p += struct.pack("6f6i", *self.activation, T, self.k, self.H, self.I, stages, 0)
        kernel(self.sms, 256 * sets + 128, p, overlap=overlap, cooperative=cooperative)

    def sort(self, kernel, ids):
        _, _, offsets, rows, counts = self.workspace(ids.shape[0])
        pairs = ids.numel()
        blocks = max(1, min(64, -(-pairs // 2048)))
        kernel(blocks, 256, pointers(ids, offsets, rows, counts, self.grid) + struct.pack("ii", pairs, self.E), overlap=True)

    def map_weights(self, which, cluster=1):
        key = (which, cluster)
        if key not in self.maps:
            H, I, E = self.H, self.I, self.E
            s = self.w13.element_size()
            dtype = 9 if s == 2 else 0
            box = (128 // s, 8, 2, 8 // cluster, 1)
            if which == "up":
                self.maps[key] = tensor_map(self.w13, dtype, (H, 8, 2, I // 8, E),
                                              (H * s, I * H * s, 8 * H * s, 2 * I * H * s), box)
            else:
                self.maps[key] = tensor_map(self.w2, dtype, (I, 8, 2, H // 16, E),
                                              (I * s, 8 * I * s, 16 * I * s, H * I * s), box)
        return self.maps[key]

    def map_rows(self, inter, rows, step):
        key = ("rows", step)
        if key not in self.maps:
            self.maps[key] = tensor_map(inter, 9, (self.I, inter.shape[0]), (self.I * 2,), (64, step))
        return self.maps[key]

    def grouped(self, kernels, up, down, x, ids, w, y):
        T = x.shape[0]
        inter, out, offsets, rows, counts = self.workspace(T)
        self.sort(kernels["sort"], ids)
        act = struct.pack("6f", *self.activation)
        kernels[up](self.sms, 384, self.map_weights("up", kernels[up].cluster), bytes(128),
                    pointers(x, offsets, rows, None, self.b13, inter) + act + struct.pack("4i", self.E, self.k, self.H, self.I),
                    overlap=True)
        kernels[down](self.sms, 384, self.map_weights("down", kernels[down].cluster), self.map_rows(inter, rows, kernels[down].step),
                      pointers(None, offsets, rows, None, self.b2, out) + act + struct.pack("4i", self.E, self.k, self.I, self.H),
                      overlap=True)
        pieces = T * self.H // 8
        kernels["combine"](min(self.sms * 8, -(-pieces // 256)), 256, pointers(out, ids, w, y) + struct.pack("3i", T, self.k, self.H),
                           overlap=True)

    def truth(self, x, ids, w):
        y = torch.zeros(x.shape[0], self.H, device="cuda", dtype=torch.float32)
        alpha, beta, limit, _, _, _ = self.activation
        x = x.float()
        quantize = fake_quantize if self.dtype == "fp8" else (lambda v: v)
        for e in ids[ids >= 0].unique().tolist():
            t, s = (ids == e).nonzero(as_tuple=True)
            if self.dtype == "fp8":
                w13, w2 = dequantize_blocks(self.w13[e], self.s13[e]), dequantize_blocks(self.w2[e], self.s2[e])
            else:
                w13, w2 = self.w13[e].float(), self.w2[e].float()
            xe = quantize(x[t])
            g, u = xe @ w13[0].T, xe @ w13[1].T
            if self.b13 is not None:
                g, u = g + self.b13[e, 0], u + self.b13[e, 1]
            g, u = g.clamp(max=limit), u.clamp(-limit, limit)
            a = quantize(g * torch.sigmoid(alpha * g) * (u + beta))
            o = a @ w2.T
            if self.b2 is not None:
                o = o + self.b2[e]
            y.index_add_(0, t, o * w[t, s][:, None])
        return y


def routing(T, E, k, kind, skip=False):
    if kind == "uniform":
        score = torch.rand(T, E, device="cuda")
    elif kind == "zipf":
        score = -torch.log(-torch.log(torch.rand(T, E, device="cuda"))) - torch.log(torch.arange(1, E + 1, device="cuda").float()) * 1.2
    else:
        score = torch.rand(1, E, device="cuda").expand(T, E)
    ids = score.topk(k, 1).indices.int().contiguous()
    if skip:
        ids[torch.rand(T, k, device="cuda") < 0.2] = -1
    w = torch.rand(T, k, device="cuda") + 0.1
    return ids, (w / w.sum(1, keepdim=True)).contiguous()


def error(y, ref):
    y = y.float()
    if not torch.isfinite(y).all():
        return float("nan")
    return ((y - ref).norm() / ref.norm().clamp_min(1e-30)).item()


def check(layer, run, T, kind, skip=False):
    """Relative error of one poisoned run on fresh data, and whether a second gives the same bits."""
    x = torch.randn(T, layer.H, device="cuda").bfloat16()
    ids, w = routing(T, layer.E, layer.k, kind, skip)
    y = torch.full((T, layer.H), float("nan"), device="cuda", dtype=torch.bfloat16)
    z = y.clone()
    layer.workspace(max(T, 8))
    for t in layer.work[1:3]:
        t.fill_(float("nan"))
    run(x, ids, w, y)
    run(x, ids, w, z)
    torch.cuda.synchronize()
    return error(y, layer.truth(x, ids, w)), torch.equal(y.view(torch.int16), z.view(torch.int16))


def time_calls(calls, repeats=9):
    """Median seconds of one of `calls`, replayed as one graph."""
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
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        graph.replay()
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b) * 1e-3 / len(calls))
    return sorted(times)[len(times) // 2]


def ceilings():
    read = Kernel("read", "read_all")
    n = 4 << 30
    buffer = torch.empty(n, dtype=torch.uint8, device="cuda").random_(0, 255)
    sink = torch.zeros(1, dtype=torch.int32, device="cuda")
    t = time_calls([lambda: read(132 * 4, 512, struct.pack("Q", buffer.data_ptr()), struct.pack("q", n // 16), pointers(sink))] * 2)
    a = torch.randn(8192, 8192, device="cuda").bfloat16()
    b = torch.randn(8192, 8192, device="cuda").bfloat16()
    d = time_calls([lambda: torch.matmul(a, b)] * 10)
    qa, qb = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).T
    one = torch.ones((), device="cuda")
    f = time_calls([lambda: torch._scaled_mm(qa, qb, one, one, out_dtype=torch.bfloat16)] * 10)
    flops = 2 * 8192 ** 3
    return n / t, flops / d, flops / f


def inputs(layer, T, count):
    out = []
    for _ in range(count):
        x = torch.randn(T, layer.H, device="cuda").bfloat16()
        ids, w = routing(T, layer.E, layer.k, "uniform")
        out.append((x, ids, w, torch.empty(T, layer.H, device="cuda", dtype=torch.bfloat16)))
    return out


def isolated(name, limit, function, *arguments):
    """Runs in a child with a time limit, so that a hang or a fault doesn't take the rest along."""
    start = time.time()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*arguments)
            code = 0
        except BaseException as e:
            import traceback
            traceback.print_exc()
            print(f"!! {name}: {e}", flush=True)
        sys.stdout.flush()
        os._exit(code)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.time() - start > limit:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            print(f"!! {name}: killed after {limit} s", flush=True)
            return
        time.sleep(0.05)
    print(f"-- {name}: {'ok' if status == 0 else 'FAILED'} in {time.time() - start:.1f} s", flush=True)
