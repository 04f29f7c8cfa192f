import CMoEKernels
import Testing
@Test func smoke() {
  let isa: moe_isa = .avx2
  _ = isa
  let l = moe_expert_layout_make(moe_expert_shape(hidden: 64, intermediate: 32, element: .bf16, gated: true, has_bias: false))
  #expect(l.bytes == 64 * 32 * 2 * 3)
  #expect(moe_isa_supported(moe_isa_best()))
}
