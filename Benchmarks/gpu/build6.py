from build import *
import glob
for f in glob.glob(D+'*.cubin'):
    if not f.endswith('read.cubin'): os.remove(f)
json.dump({},open(D+'manifest.json','w'))
def stream(name,w,chunk,sets):
    return (name,'stream.cu',[f'-DWEIGHTS={w}',f'-DCHUNK={chunk}',f'-DSETS={sets}'],dict(shared=232448,fixed=12288+8192*sets,chunk=chunk,sets=sets))
items=[('sort','sort.cu',[],dict(shared=0)),('combine','combine.cu',[],dict(shared=0)),
  stream('stream_bf16_2k',0,2048,1),stream('stream_bf16_2k_s2',0,2048,2),stream('stream_fp8_1k',1,1024,1),stream('stream_fp8_2k',1,2048,1),stream('stream_fp8_1k_s2',1,1024,2)]
for d,n in ((0,'up'),(1,'down')):
    items += [grouped(n+'192c2',d,192,32,5,'-DCLUSTER=2'), grouped(n+'192',d,192,32,5), grouped(n+'160',d,160,32,5),grouped(n+'128',d,128,32,6),
      grouped(n+'96',d,96,32,7), grouped(n+'64',d,64,16,8), grouped(n+'32',d,32,16,10), grouped(n+'16',d,16,16,11)]
build(items)
print('done')
