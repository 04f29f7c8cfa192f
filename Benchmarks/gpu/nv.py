#!/usr/bin/env python3
"""nv.py OUT.cubin SRC.cu -DX=Y ...: NVRTC compile, report regs/spills and SASS op counts."""
import ctypes, os, sys, subprocess, re, time
R='/tmp/scratch/kernels/venv/lib/python3.11/site-packages/nvidia/cu13'
ctypes.CDLL(R+'/lib/libnvrtc-builtins.so.13.0', mode=ctypes.RTLD_GLOBAL)
N=ctypes.CDLL(R+'/lib/libnvrtc.so.13')
K='/tmp/wt/kernels/Sources/CAccelerators/kernels'
def compile(src, out, opts, arch='sm_90a'):
    code=open(os.path.join(K,src)).read().encode()
    prog=ctypes.c_void_p()
    N.nvrtcCreateProgram(ctypes.byref(prog), code, src.encode(), 0, None, None)
    o=[f'--gpu-architecture={arch}','--std=c++17','-default-device','-lineinfo',f'-I{K}','--ptxas-options=-v','-warn-spills' ]
    o=[x for x in o if x!='-warn-spills']+list(opts)
    arr=(ctypes.c_char_p*len(o))(*[x.encode() for x in o])
    t=time.time(); rc=N.nvrtcCompileProgram(prog,len(o),arr); t=time.time()-t
    n=ctypes.c_size_t(); N.nvrtcGetProgramLogSize(prog,ctypes.byref(n)); b=ctypes.create_string_buffer(n.value); N.nvrtcGetProgramLog(prog,b)
    log=b.value.decode()
    if rc: print(log); raise SystemExit(f'compile failed {src} {opts}')
    N.nvrtcGetCUBINSize(prog,ctypes.byref(n)); b=ctypes.create_string_buffer(n.value); N.nvrtcGetCUBIN(prog,b)
    open(out,'wb').write(b.raw)
    return log,t
def sass(out):
    env=dict(os.environ); env['PATH']=R+'/bin:'+env['PATH']
    return subprocess.run(['cuobjdump','-sass',out],env=env,capture_output=True,text=True).stdout
if __name__=='__main__':
    out,src,*opts=sys.argv[1:]
    log,t=compile(src,out,opts)
    for l in log.splitlines():
        if re.search('registers|spill|warning|C75',l): print(l.strip())
    s=sass(out)
    ops=re.findall(r'^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_.]+)',s,re.M)
    from collections import Counter
    c=Counter(o.split('.')[0] for o in ops)
    print(f'{t:.2f}s', len(ops),'instr', {k:c[k] for k in ('HGMMA','QGMMA','HMMA','LDS','LDGSTS','UBLKCP','UTMALDG','STL','LDL','F2FP','MUFU','FFMA','FMUL','WARPGROUP','LDG','STG','STSM','USETMAXREG','IDP') if c[k]})
