// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import Tensors
import Testing

@testable import MoECUDA

/// Machine code on disk: found again, made anew where it is not what it was made of, and never half-written.
@Suite struct KernelCacheTests {
  private let hopper: DeviceArchitecture
  private let sources: [KernelSource]

  init() throws {
    hopper = try DeviceArchitecture(named: "sm_90a")
    sources = Array(KernelSource.all(for: hopper).prefix(3))
  }

  private func load(
    _ folder: String, _ compiler: SampleCompiler, _ architecture: DeviceArchitecture? = nil,
    _ sources: [KernelSource]? = nil, isPortable: Bool = false
  ) throws -> [KernelSource: [UInt8]] {
    try KernelCache(folder: folder).load(
      sources ?? self.sources, for: architecture ?? hopper, by: .success(compiler), isPortable: isPortable)
  }

  @Test func compiledOnceAndFoundAgain() throws {
    try withTemporaryFolder { folder in
      let first = SampleCompiler()
      let made = try load("\(folder)/a/b", first)
      #expect(first.compiled == sources.map(\.name).sorted())
      let second = SampleCompiler()
      #expect(try load("\(folder)/a/b", second) == made)
      #expect(second.compiled.isEmpty)
      // Nothing but what was made: no temporary file stays.
      let files = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/a/b")
      #expect(files.count == 3 && files.allSatisfy { $0.hasSuffix("-sample1.0.cubin") && $0.contains("-sm_90a-") })
    }
  }

  @Test func anotherCompilerArchitectureOrTextIsAnotherFile() throws {
    try withTemporaryFolder { folder in
      _ = try load(folder, SampleCompiler())
      for (compiler, architecture) in [("sample2.0", "sm_90a"), ("sample1.0", "sm_80")] {
        let other = SampleCompiler(compiler)
        _ = try load(folder, other, DeviceArchitecture(named: architecture))
        #expect(other.compiled.count == 3)
      }
      let changed = SampleCompiler()
      let source = KernelSource(name: sources[0].name, text: sources[0].text + " ")
      _ = try load(folder, changed, nil, [source])
      #expect(changed.compiled == [source.name])
    }
  }

  /// One file gives several kernels, by its macros.
  @Test func otherMacrosAreAnotherFile() throws {
    try withTemporaryFolder { folder in
      let variants = ["A=1", "A=2"].map { KernelSource(name: "some.cu", text: "text", macros: [$0]) }
      let compiler = SampleCompiler()
      let made = try load(folder, compiler, nil, variants)
      let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(made.count == 2 && files.count == 2)
    }
  }

  @Test func damagedFilesAreMadeAnew() throws {
    try withTemporaryFolder { folder in
      let made = try load(folder, SampleCompiler())
      let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      let whole = try Data(contentsOf: URL(filePath: "\(folder)/\(files[0])"))
      try whole.dropLast(1).write(to: URL(filePath: "\(folder)/\(files[0])"))
      try Data().write(to: URL(filePath: "\(folder)/\(files[1])"))
      let again = SampleCompiler()
      #expect(try load(folder, again) == made)
      #expect(again.compiled.count == 2)
      #expect(try Data(contentsOf: URL(filePath: "\(folder)/\(files[0])")) == whole)
    }
  }

  /// What `moe kernels build` makes is taken by a machine with another compiler, or with none.
  @Test func kernelsMadeAheadNeedNoCompiler() throws {
    try withTemporaryFolder { folder in
      let made = try load(folder, SampleCompiler(), isPortable: true)
      #expect(try load(folder, SampleCompiler("sample2.0", refused: Set(sources.map(\.name)))) == made)
      let none = MoEError(.device, "no compiler here")
      #expect(try KernelCache(folder: folder).load(sources, for: hopper, by: .failure(none)) == made)
      let error = #expect(throws: MoEError.self) {
        try KernelCache(folder: folder).load(KernelSource.all(for: hopper), for: hopper, by: .failure(none))
      }
      #expect(error?.faults == none.faults)
    }
  }

  @Test func allThatDoesNotCompileIsNamed() throws {
    try withTemporaryFolder { folder in
      let refused = Set(sources.prefix(2).map(\.name))
      let error = #expect(throws: MoEError.self) { try load(folder, SampleCompiler(refused: refused)) }
      #expect(Set(error?.faults.compactMap(\.subject) ?? []) == refused)
    }
  }

  @Test func aFolderThatCannotBeMadeIsNamed() throws {
    try withTemporaryFolder { folder in
      try Data().write(to: URL(filePath: "\(folder)/file"))
      let error = #expect(throws: MoEError.self) { try load("\(folder)/file/kernels", SampleCompiler()) }
      #expect(error?.description.contains("\(folder)/file") == true)
      #expect(error?.description.contains("MOE_KERNEL_CACHE") == true)
    }
  }

  @Test func whatKernelsNeedIsReadFromMachineCode() {
    let sample = SampleCubin(kernels: [("first", 168, 0), ("second", 40, 24)]).bytes
    #expect(
      Cubin(sample)?.kernels == [
        "first": Cubin.Resources(registers: 168, stack: 0), "second": Cubin.Resources(registers: 40, stack: 24),
      ])
    for count in [0, 1, 63, 64, sample.count - 1] { #expect(Cubin(Array(sample.prefix(count))) == nil) }
    // Any byte may be wrong.
    for index in sample.indices {
      var damaged = sample
      damaged[index] ^= 0xff
      _ = Cubin(damaged)
    }
  }

  @Test(arguments: ["sm_70", "sm90", "compute_90", "sm_90b", "sm_", ""])
  func noArchitecture(name: String) {
    let error = #expect(throws: MoEError.self) { try DeviceArchitecture(named: name) }
    #expect(error?.description.contains("sm_80 or later") == true)
  }

  @Test func architecturesOfDevices() throws {
    #expect(try DeviceArchitecture(major: 9, minor: 0).description == "sm_90a")
    #expect(try DeviceArchitecture(major: 8, minor: 6).description == "sm_86")
    #expect(throws: MoEError.self) { try DeviceArchitecture(major: 7, minor: 5) }
  }
}
