// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE

/// A file of CUDA C++ that is part of this program, and what it is compiled with.
package struct KernelSource: Sendable, Hashable {
  package let name: String
  package let text: String
  /// Each as `NAME=value`.
  package let macros: [String]

  package init(name: String, text: String, macros: [String] = []) {
    self.name = name
    self.text = text
    self.macros = macros
  }

  /// The machine code of some kernels, each once.
  init(of kernel: Kernel) {
    guard let file = Self.all.first(where: { $0.name == kernel.file }) else {
      preconditionFailure("\(kernel.file) is not part of this program")
    }
    self.init(name: file.name, text: file.text, macros: kernel.macros)
  }

  private static let all: [KernelSource] = {
    var count = 0
    let sources = unsafe moe_kernel_sources(&count)
    return (0..<count).map {
      unsafe KernelSource(name: String(cString: sources[$0].name), text: String(cString: sources[$0].text))
    }
  }()

  /// What kernels include.
  static let headers = all.filter { !$0.name.hasSuffix(".cu") }

  /// All that there is for an architecture.
  package static func all(for architecture: DeviceArchitecture) -> [KernelSource] {
    sources(of: Kernel.all(for: architecture))
  }

  /// The sources of some kernels, each once.
  static func sources(of kernels: [Kernel]) -> [KernelSource] {
    var seen: Set<String> = []
    return kernels.filter { seen.insert($0.source).inserted }.map(KernelSource.init(of:))
  }

  /// For example `kernels/grouped.cu WEIGHTS=0 DOWN=1`.
  package var title: String { Self.title(name, macros) }

  static func title(_ name: String, _ macros: [String]) -> String { ([name] + macros).joined(separator: " ") }

  /// Options of the compiler.
  func options(for architecture: DeviceArchitecture) -> [String] {
    ["--gpu-architecture=\(architecture)", "--std=c++17", "-default-device", "-lineinfo"] + macros.map { "-D\($0)" }
  }

  /// A number of everything that its machine code depends on, but for the compiler.
  func digest(for architecture: DeviceArchitecture) -> UInt64 {
    var digest = ContentDigest()
    for text in [name, text] + Self.headers.flatMap({ [$0.name, $0.text] }) + options(for: architecture) {
      digest.add(Array(text.utf8) + [0])
    }
    return digest.value
  }
}
