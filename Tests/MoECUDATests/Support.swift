// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import MoECUDA
import Synchronization

/// A few experts of a type of weights.
func sampleSpecification(
  _ type: WeightType, _ activation: Activation = .silu, experts: Int = 4, hidden: Int = 256, intermediate: Int = 384
) throws -> LayerSpecification {
  try LayerSpecification(
    expertCount: experts, hiddenSize: hidden, intermediateSize: intermediate, activation: activation
  ).converted(to: type)
}

/// The least ELF file that says what kernels need, as the compiler writes it.
struct SampleCubin {
  var kernels: [(name: String, registers: Int, stack: Int)]

  var bytes: [UInt8] {
    var names: [UInt8] = [0]
    func add(_ name: String) -> Int {
      defer { names += Array(name.utf8) + [0] }
      return names.count
    }
    func number(_ value: Int, _ width: Int) -> [UInt8] {
      (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let sectionNames = ["", ".strtab", ".symtab", ".nv.info"].map(add)
    var symbols = [UInt8](repeating: 0, count: 24)
    var information: [UInt8] = []
    for (index, kernel) in kernels.enumerated() {
      symbols += number(add(kernel.name), 4) + [UInt8](repeating: 0, count: 20)
      for (attribute, value) in [(0x2f, kernel.registers), (0x12, kernel.stack)] {
        information += [4, UInt8(attribute)] + number(8, 2) + number(index + 1, 4) + number(value, 4)
      }
    }
    let contents = [[], names, symbols, information]
    var (headers, body): ([UInt8], [UInt8]) = ([], [])
    for (index, content) in contents.enumerated() {
      let type = [0, 3, 2, 0x7000_0000][index]
      headers += number(sectionNames[index], 4) + number(type, 4) + number(0, 16) + number(64 + body.count, 8)
      headers += number(content.count, 8) + number(1, 4) + number(0, 20)
      body += content
    }
    var header: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1] + [UInt8](repeating: 0, count: 58)
    header.replaceSubrange(40..<48, with: number(64 + body.count, 8))
    header.replaceSubrange(58..<64, with: number(64, 2) + number(contents.count, 2) + number(1, 2))
    return header + body + headers
  }
}

/// Makes a sample of everything, and keeps a list of what it was asked for.
final class SampleCompiler: KernelCompiler, Sendable {
  let identity: String
  /// Sources that don't compile.
  let refused: Set<String>
  private let asked = Mutex<[String]>([])

  init(_ identity: String = "sample1.0", refused: Set<String> = []) {
    self.identity = identity
    self.refused = refused
  }

  var compiled: [String] { asked.withLock { $0.sorted() } }

  func compile(_ source: KernelSource, for architecture: DeviceArchitecture) throws(MoEError) -> [UInt8] {
    asked.withLock { $0.append(source.name) }
    guard !refused.contains(source.name) else {
      throw MoEError(.device, "the kernel does not compile", subject: source.name)
    }
    return SampleCubin(kernels: [(source.name, 32, 0)]).bytes
  }
}

/// Calls `body` with a folder that is removed afterwards.
func withTemporaryFolder(_ body: (String) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("moe-\(UUID().uuidString)").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try body(folder)
}
