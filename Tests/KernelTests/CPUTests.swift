// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import CMoEKernels
import Testing

@Suite struct CPUTests {
  @Test func `The best instruction set is a supported one with kernels`() {
    #expect(moe_isa_supported(.portable))
    #expect(moe_isa_supported(moe_isa_best()))
    for isa in moe_isa.all {
      let kernels = unsafe moe_kernels_for(isa)
      #expect(unsafe (kernels != nil) == moe_isa_supported(isa))
      if let kernels = unsafe kernels { #expect(unsafe moe_kernels_isa(kernels) == isa) }
    }
    #expect(
      moe_isa.all.map(\.name) == ["portable", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16"])
  }

  @Test func `Features and model fit any buffer`() {
    for capacity in [1, 5, 500] {
      let text = Memory(byteCount: capacity + 1)
      unsafe moe_cpu_features(text.base.assumingMemoryBound(to: CChar.self), capacity)
      #expect(unsafe text.bytes[capacity] == 0xff)
      let features = unsafe String(cString: text.base.assumingMemoryBound(to: CChar.self)).split(separator: " ")
      if capacity == 500 { #expect(features.contains("avx2") == moe_isa_supported(.avx2) || features.contains("avx2")) }
      unsafe moe_cpu_model(text.base.assumingMemoryBound(to: CChar.self), capacity)
      #expect(unsafe text.bytes[capacity] == 0xff)
      #expect(unsafe String(cString: text.base.assumingMemoryBound(to: CChar.self)).isEmpty == (capacity == 1))
    }
  }

  @Test(arguments: moe_isa.supported)
  func `Ceilings are positive`(isa: moe_isa) {
    let pool = Pool(threads: 1), buffer = Memory(byteCount: 1 << 16)
    #expect(unsafe moe_measure_read(pool.handle, isa.kernels, buffer.base, 1 << 16) > 0)
  }
}
