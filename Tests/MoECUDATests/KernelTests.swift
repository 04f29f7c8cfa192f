// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import MoE
import Testing

@testable import MoECUDA

private var isCompilerThere: Bool { (try? NVRTC.shared.get()) != nil }

/// The kernels compile where there is no GPU, and fit the multiprocessors that they are launched on.
@Suite(.enabled(if: isCompilerThere, "no NVRTC here: scripts/test installs it"))
struct KernelTests {
  @Test(arguments: ["sm_80", "sm_90a"])
  func everyKernelCompiles(architecture: String) throws {
    try withTemporaryFolder { folder in
      let made = try KernelCache(folder: folder).load(
        KernelSource.all(for: DeviceArchitecture(named: architecture)), for: DeviceArchitecture(named: architecture),
        by: NVRTC.available)
      var found: [String: [String: Cubin.Resources]] = [:]
      for (source, cubin) in made { found[source.title] = try #require(Cubin(cubin)).kernels }
      for kernel in Kernel.all(for: try DeviceArchitecture(named: architecture)) {
        let resources = try #require(found[kernel.source]?[kernel.name], "\(kernel.source) has no \(kernel.name)")
        #expect(resources.registers * kernel.threads <= 65536, "\(kernel.source): \(resources.registers) registers")
        // What the call of an activation saves, once for a tile; registers of a loop would take more. Nothing may spill
        // where warps have been given the registers that they need.
        let most = kernel.file.hasPrefix("kernels/") ? 0 : 32
        #expect(resources.stack <= most, "\(kernel.source) keeps \(resources.stack) bytes of each thread in memory")
      }
    }
  }

  /// The epilogue of an activation is compiled for itself: one height of tiles stands for all, and one form of codes.
  @Test(
    arguments: [HopperForm.bf16, .e4m3Block, .int4Groups32, .mxfp4E4M3],
    [Activation(.gelu), Activation(.geluTanh), Activation(.relu2), Activation(.situ(beta: 1, upBeta: 1))])
  func otherActivationsCompile(form: HopperForm, activation: Activation) throws {
    let compiler = try NVRTC.shared.get()
    for isGated in form.inputs == .e4m3InBlocks ? [true] : [true, false] {
      var activation = activation
      activation.isGated = isGated
      let kernels = HopperKernels(form, activation)
      let chosen =
        [kernels.grouped(isDown: false, tokens: 64)]
        + (isGated ? [kernels.stream(chunk: form.chunks.short)] : [])
      for kernel in chosen {
        let cubin = try compiler.compile(KernelSource(of: kernel), for: DeviceArchitecture(named: "sm_90a"))
        let resources = try #require(Cubin(cubin)?.kernels[kernel.name])
        #expect(resources.registers * kernel.threads <= 65536 && resources.stack == 0, "\(kernel.source): \(resources)")
      }
    }
  }

  @Test func anErrorNamesTheFileAndTheLine() throws {
    let source = KernelSource(name: "wrong.cu", text: "extern \"C\" __global__ void wrong() {\n  nothing();\n}\n")
    let error = #expect(throws: MoEError.self) {
      try NVRTC.shared.get().compile(source, for: DeviceArchitecture(named: "sm_80"))
    }
    let text = error?.description ?? ""
    #expect(text.contains("wrong.cu") && text.contains("(2)") && text.contains("nothing"), "\(text)")
  }
}
