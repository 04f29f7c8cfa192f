// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

internal import CAccelerators
internal import MoE

/// A file of CUDA C++ that is part of this program.
package struct KernelSource: Sendable, Hashable {
  package let name: String
  package let text: String

  private static let all: [KernelSource] = {
    var count = 0
    let sources = unsafe moe_kernel_sources(&count)
    return (0..<count).map {
      unsafe KernelSource(name: String(cString: sources[$0].name), text: String(cString: sources[$0].text))
    }
  }()

  /// What is compiled.
  package static let files = all.filter { $0.name.hasSuffix(".cu") }
  /// What those include.
  static let headers = all.filter { !$0.name.hasSuffix(".cu") }

  /// Options of the compiler.
  static func options(for architecture: DeviceArchitecture) -> [String] {
    ["--gpu-architecture=\(architecture)", "--std=c++17", "-default-device", "-lineinfo"]
  }

  /// A number of everything that its machine code depends on, but for the compiler.
  func digest(for architecture: DeviceArchitecture) -> UInt64 {
    var digest = ContentDigest()
    for text in [name, text] + Self.headers.flatMap({ [$0.name, $0.text] }) + Self.options(for: architecture) {
      digest.add(Array(text.utf8) + [0])
    }
    return digest.value
  }
}
