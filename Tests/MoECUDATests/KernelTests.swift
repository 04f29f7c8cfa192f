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
        KernelSource.files, for: DeviceArchitecture(named: architecture), by: NVRTC.available)
      var found: [String: Cubin.Resources] = [:]
      for cubin in made.values { found.merge(try #require(Cubin(cubin)).kernels) { $1 } }
      for kernel in Kernel.allCases {
        let resources = try #require(found[kernel.rawValue], "\(kernel.file) has no \(kernel.rawValue)")
        #expect(resources.registers * kernel.threads <= 65536, "\(kernel.rawValue): \(resources.registers) registers")
        // What the call of an activation saves, once for a tile; registers of a loop would take more.
        #expect(resources.stack <= 32, "\(kernel.rawValue) keeps \(resources.stack) bytes of each thread in memory")
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
