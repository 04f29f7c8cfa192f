import json, sys, time
import torch
from harness import *
M = json.load(open(HERE + "/manifest.json"))

def kernel(n):
    entry = "experts_" + ("stream" if n.startswith("stream") else "sort" if n == "sort" else "combine" if n == "combine" else "grouped")
    k = Kernel(n, entry, M[n]["shared"])
    for a, v in M[n].items():
        if a != "shared": setattr(k, a, v)
    return k

def begin(seed=0):
    torch.zeros(1, device="cuda"); torch.manual_seed(seed + int(time.time()))
    torch.backends.cuda.matmul.allow_tf32 = False

def checks_stream(name, dtype):
    begin()
    k = kernel(name)
    for shape, bias, act in (("qwen3", False, SILU), ("odd", True, OAI)):
        L = Layer(shape, dtype, bias, act)
        run = lambda *a: L.stream(k, *a)
        out = []
        for T in (1, 2, 7, 8):
            for kind, skip in (("uniform", False), ("zipf", True), ("one", False)):
                e, same = check(L, run, T, kind, skip)
                out.append(f"T{T} {kind[:3]} {e:.1e}{'' if same else ' DIFF'}")
        print(name, shape, "; ".join(out), flush=True)

def check_sort():
    begin()
    k = kernel("sort")
    L = Layer("odd")
    for E, kk in ((13, 3), (128, 8), (512, 10)):
        L.E, L.k = E, kk
        for T in (1, 8, 300, 4096, 16384):
            L.work = None
            ids, w = routing(T, E, kk, "zipf", True)
            L.workspace(T)[3].fill_(-7)
            for _ in range(2): L.sort(k, ids)
            torch.cuda.synchronize()
            _, _, off, rows, _ = L.workspace(T)
            flat = ids.flatten(); n = int((flat >= 0).sum())
            key = torch.where(flat < 0, 10000, flat)
            ref = torch.sort(key, stable=True).indices[:n].int()
            cnt = torch.bincount(flat[flat >= 0], minlength=E).cumsum(0)
            ok = torch.equal(rows[:n], ref) and torch.equal(off[1:E+1].long(), cnt) and off[0] == 0
            if not ok: print("sort WRONG", E, kk, T)
    print("sort checked", flush=True)

def checks_grouped(up, down, Ts):
    begin()
    ks = {n: kernel(n) for n in ("sort", "combine", up, down)}
    for shape, bias, act in (("odd", True, OAI), ("qwen3", False, SILU)):
        L = Layer(shape, "bf16", bias, act)
        run = lambda *a: L.grouped(ks, up, down, *a)
        out = []
        for T in Ts:
            for kind, skip in (("uniform", False), ("zipf", True), ("one", False)):
                e, same = check(L, run, T, kind, skip)
                out.append(f"T{T} {kind[:3]} {e:.1e}{'' if same else ' DIFF'}")
        print(up, shape, "; ".join(out), flush=True)

def report(shape, T, dtype, name, t, L, ins, C):
    fl = 6 * L.H * L.I * sum((i[1] >= 0).sum().item() for i in ins) / len(ins)
    by = sum(L.weights_bytes(i[1]) for i in ins) / len(ins) + 4 * T * L.H
    print(f"{shape:8} T={T:5} {dtype} {name:22} {t*1e6:9.2f} us {fl/t/1e12:7.1f} TF {by/t/1e12:6.3f} TB/s  {by/t/C[0]*100:5.1f}% read {fl/t/C[1 if dtype=='bf16' else 2]*100:5.1f}% dense", flush=True)

def timings(shape, dtype, C, small, large):
    begin()
    L = Layer(shape, dtype)
    for T in small:
        ins = inputs(L, T, 24)
        L.workspace(8)
        for name in [n for n in M if n.startswith("stream_" + dtype)]:
            k = kernel(name)
            for o, c in ((1, 1),):
                try:
                    t = time_calls([lambda i=i: L.stream(k, *i, overlap=o, cooperative=c) for i in ins])
                except RuntimeError as e:
                    print(name, o, c, e); torch.cuda.synchronize(); continue
                report(shape, T, dtype, name + (" pdl" if o else "") + (" coop" if c else ""), t, L, ins, C)
    for T, cfgs in large.items():
        ins = inputs(L, T, 8 if T <= 512 else 2)
        L.workspace(T)
        for up, down in cfgs:
            ks = {n: kernel(n) for n in ("sort", "combine", up, down)}
            t = time_calls([lambda i=i: L.grouped(ks, up, down, *i) for i in ins], 5)
            report(shape, T, dtype, up + "/" + down, t, L, ins, C)
        if T >= 4096:  # the parts
            x, ids, w, y = ins[0]
            ks = {n: kernel(n) for n in ("sort", "combine", up, down)}
            t = time_calls([lambda: L.sort(ks["sort"], ids)] * 4); print(f"   sort {t*1e6:.1f} us")
            inter, out, off, rows, _ = L.workspace(T)
            act = struct.pack("6f", *L.activation)
            for u, d in cfgs:
                ku, kd = kernel(u), kernel(d)
                t = time_calls([lambda: ku(L.sms, 384, L.map_weights("up", ku.cluster), bytes(128), pointers(x, off, rows, None, None, inter) + act + struct.pack("4i", L.E, L.k, L.H, L.I))] * 3, 5)
                f = 4 * L.H * L.I * T * L.k
                print(f"   {u} {t*1e6:.1f} us {f/t/1e12:.1f} TF")
                t = time_calls([lambda: kd(L.sms, 384, L.map_weights("down", kd.cluster), L.map_rows(inter, rows, kd.step), pointers(None, off, rows, None, None, out) + act + struct.pack("4i", L.E, L.k, L.I, L.H))] * 3, 5)
                print(f"   {d} {t*1e6:.1f} us {f/2/t/1e12:.1f} TF", flush=True)
            pieces = T * L.H // 8
            t = time_calls([lambda: ks["combine"](L.sms * 8, 256, pointers(out, ids, w, y) + struct.pack("3i", T, L.k, L.H))] * 4)
            print(f"   combine {t*1e6:.1f} us {(T*L.k+T)*L.H*2/t/1e12:.2f} TB/s", flush=True)


def overhead(C):
    begin()
    for dtype in ("bf16", "fp8"):
        L = Layer("qwen3", dtype)
        for name in [n for n in M if n.startswith("stream_" + dtype)]:
            k = kernel(name)
            L.workspace(8)
            out = []
            for used in (0, 1, 2, 4, 8):
                ins = inputs(L, 1, 24)
                for i in ins: i[1][:, used:] = -1
                out.append(f"{used} experts {time_calls([lambda i=i: L.stream(k, *i) for i in ins])*1e6:.2f}")
            print(name, "; ".join(out), flush=True)

def torch_peer(shape, T):
    """torch._grouped_mm with the sort's metadata ready, as in the table of peers."""
    begin()
    L = Layer(shape)
    w13, w2 = L.w13.view(L.E, 2 * L.I, L.H).transpose(1, 2), L.w2.transpose(1, 2)
    pre = []
    for x, ids, w, y in inputs(L, T, 2):
        order = ids.flatten().sort(stable=True).indices
        offs = torch.bincount(ids.flatten(), minlength=L.E).cumsum(0).int()
        pre.append((x, order // L.k, order, offs, w))
    def one(x, tok, order, offs, w):
        h = torch._grouped_mm(x[tok], w13, offs=offs)
        a = torch.nn.functional.silu(h[:, :L.I]) * h[:, L.I:]
        o = torch._grouped_mm(a, w2, offs=offs)
        z = torch.empty_like(o)
        z[order] = o
        return torch.einsum("tkh,tk->th", z.view(T, L.k, L.H), w.to(o.dtype))
    t = time_calls([lambda i=i: one(*i) for i in pre], 5)
    print(f"{shape} T={T} torch._grouped_mm {t*1e6:.1f} us", flush=True)

if __name__ == "__main__":
    r, wend = os.pipe()
    def ceil():
        begin()
        c = ceilings()
        print(torch.cuda.get_device_name(0), f"read {c[0]/1e12:.3f} TB/s bf16 {c[1]/1e12:.1f} fp8 {c[2]/1e12:.1f} TFLOP/s", flush=True)
        os.write(wend, json.dumps(c).encode())
    isolated("ceilings", 60, ceil)
    C = json.loads(os.read(r, 1000))
    for s, Ts in (("16", (2, 64, 512)), ("32", (7, 129, 512)), ("64", (129, 512)), ("96", (129, 512)), ("128", (512, 4096)), ("192", (64, 129, 4096)), ("192c2", (1, 64, 129, 512, 4096)), ("128c2", (129, 4096))):
        isolated("grouped " + s, 15, checks_grouped, "up" + s, "down" + s, Ts)
    P = lambda *n: [("up" + a, "down" + a) for a in n]
    isolated("overhead", 30, overhead, C)
    isolated("time qwen3 bf16", 40, timings, "qwen3", "bf16", C, (1,),
             {64: P("16"), 512: P("32", "64", "96"), 4096: P("128", "128c2", "192", "192c2"), 16384: P("128", "128c2", "160", "192", "192c2")})
    isolated("time ds3 bf16", 40, timings, "ds3", "bf16", C, (), {64: P("32"), 512: P("96", "160", "192", "128c2"), 4096: P("192", "192c2"), 16384: P("192", "128c2", "192c2")})
    isolated("time gptoss bf16", 40, timings, "gptoss", "bf16", C, (1, 8), {64: P("16"), 512: P("32", "64"), 4096: P("192", "160"), 16384: P("192", "192c2")})
    isolated("time mixtral bf16", 40, timings, "mixtral", "bf16", C, (1, 8), {64: P("32"), 512: P("160", "192"), 16384: P("192c2",)})
    for s in ("qwen3", "ds3", "gptoss"):
        isolated("peer", 30, torch_peer, s, 16384)
