// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Foundation
import MoE
import Tensors
import TestSupport

/// A model in GGUF to be written: 4 experts of which 2 are chosen, hidden size 64, intermediate size 32, one layer.
struct GGUFFixture {
  enum Value {
    case count(UInt32)
    case number(Float)
    case flag(Bool)
    case text(String)
    case numbers([Float])
  }

  struct Tensor {
    var type: GGMLType
    /// In elements, outermost first.
    var shape: [Int]
    var bytes: [UInt8]
  }

  static let (experts, hidden, intermediate) = (4, 64, 32)

  var metadata: [String: Value]
  var tensors: [String: Tensor] = [:]
  var architecture: String

  /// Sizes, a gate and stacked experts with random weights.
  init(_ architecture: String, type: GGMLType = .f32) {
    self.architecture = architecture
    metadata = [
      "general.architecture": .text(architecture), "\(architecture).block_count": .count(1),
      "\(architecture).embedding_length": .count(64), "\(architecture).feed_forward_length": .count(32),
      "\(architecture).expert_count": .count(4), "\(architecture).expert_used_count": .count(2),
    ]
    add("ffn_gate_inp.weight", [4, 64])
    for name in ["gate", "up"] { add("ffn_\(name)_exps.weight", [4, 32, 64], type) }
    add("ffn_down_exps.weight", [4, 64, 32], type)
  }

  /// A key of the architecture.
  subscript(key: String) -> Value? {
    get { metadata["\(architecture).\(key)"] }
    set { metadata["\(architecture).\(key)"] = newValue }
  }

  /// A tensor of layer 0 with random contents; of blocks, with scales around 1.
  mutating func add(_ name: String, _ shape: [Int], _ type: GGMLType = .f32) {
    let count = shape.reduce(1, *)
    let seed = name.utf8.reduce(5) { $0 &* 31 &+ UInt64($1) }
    guard type != .f32 else { return add(name, shape, values: randomValues(count, seed: seed, deviation: 0.2)) }
    var generator = SplitMix64(seed: seed)
    var bytes: [UInt8] = []
    for _ in 0..<count / type.blockElements {
      var block = (0..<type.blockBytes).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      switch type {
      case .mxfp4: block[0] = 120
      case .nvfp4: for part in 0..<4 { block[part] = 40 + UInt8(part) }
      default: (block[0], block[1]) = (0, 0x28)  // 2⁻⁵
      }
      bytes += block
    }
    tensors["blk.0.\(name)"] = Tensor(type: type, shape: shape, bytes: bytes)
  }

  mutating func add(_ name: String, _ shape: [Int], values: [Float]) {
    tensors["blk.0.\(name)"] = Tensor(
      type: .f32, shape: shape, bytes: values.flatMap { Self.little($0.bitPattern) })
  }

  mutating func remove(_ names: String...) {
    for name in names { tensors["blk.0.\(name)"] = nil }
  }

  // MARK: - Writing

  var bytes: [UInt8] {
    var bytes = Array("GGUF".utf8) + Self.little(3 as UInt32)
    bytes += Self.little(UInt64(tensors.count)) + Self.little(UInt64(metadata.count))
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { bytes += Self.text(key) + Self.encoded(value) }
    var data: [UInt8] = []
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      bytes += Self.text(name) + Self.little(UInt32(tensor.shape.count))
      bytes += tensor.shape.reversed().flatMap { Self.little(UInt64($0)) }
      bytes += Self.little(tensor.type.rawValue) + Self.little(UInt64(data.count))
      data += tensor.bytes
      data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
    }
    return bytes + [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32) + data
  }

  private static func text(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count)) + Array(text.utf8) }

  private static func encoded(_ value: Value) -> [UInt8] {
    switch value {
    case .count(let number): little(4 as UInt32) + little(number)
    case .number(let number): little(6 as UInt32) + little(number.bitPattern)
    case .flag(let flag): little(7 as UInt32) + [flag ? 1 : 0]
    case .text(let string): little(8 as UInt32) + text(string)
    case .numbers(let numbers):
      little(9 as UInt32) + little(6 as UInt32) + little(UInt64(numbers.count))
        + numbers.flatMap { little($0.bitPattern) }
    }
  }

  private static func little<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }

  /// Writes it and resolves its layers.
  func model() throws -> (model: MoEModel, folder: TemporaryFolder) {
    let folder = try TemporaryFolder()
    try Data(bytes).write(to: URL(filePath: folder["m.gguf"]))
    return (try MoEModel(opening: folder["m.gguf"]), folder)
  }

  /// The output of the layer for 5 random tokens.
  func output() throws -> [Float] {
    let (model, folder) = try model()
    defer { withExtendedLifetime(folder) {} }
    let layer = try MoELayer(model.layers[0], of: model, on: ReferenceBackend())
    return try layer.forward(randomValues(5 * Self.hidden, seed: 3)).output
  }
}
