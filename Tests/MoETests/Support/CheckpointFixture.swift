// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import TestSupport

/// A checkpoint in memory that a test can spoil before it is written.
struct CheckpointFixture {
  struct Tensor {
    var elementType: ElementType
    var shape: Shape
    var bytes: [UInt8]
  }

  var configuration: [String: JSONValue]
  var tensors: [String: Tensor] = [:]

  init(configuration: [String: JSONValue]) { self.configuration = configuration }

  /// What a synthetic model writes for a configuration.
  init(synthetic configuration: [String: JSONValue], elementType: ElementType = .bf16, seed: UInt64 = 1) throws {
    let folder = try TemporaryFolder()
    let model = try SyntheticModel(
      configuration: configuration, type: WeightType(parsing: elementType.rawValue.lowercased()))
    try model.write(to: folder.path, seed: seed)
    self.configuration = model.configuration
    try read(TensorCatalog(opening: folder.path))
  }

  /// What is in a catalog of safetensors.
  mutating func read(_ catalog: TensorCatalog) throws {
    for record in catalog.records {
      tensors[record.name] = Tensor(
        elementType: record.elementType, shape: record.shape, bytes: try catalog.bytes(of: record))
    }
  }

  /// Adds a tensor of values, or of zero bytes.
  mutating func add(_ name: String, _ elementType: ElementType, _ shape: Shape, _ values: [Float]? = nil) {
    let bytes =
      values.map(elementType.encode)
      ?? [UInt8](
        repeating: 0, count: elementType.byteCount(of: shape.elementCount!)!)
    tensors[name] = Tensor(elementType: elementType, shape: shape, bytes: bytes)
  }

  /// Adds zeros of BF16.
  mutating func add(_ name: String, _ shape: Shape) { add(name, .bf16, shape) }

  /// Replaces a tensor by one of another type or shape.
  mutating func reshape(_ name: String, _ elementType: ElementType? = nil, _ shape: Shape? = nil) {
    precondition(tensors[name] != nil, "no tensor \(name)")
    add(name, elementType ?? tensors[name]!.elementType, shape ?? tensors[name]!.shape)
  }

  mutating func remove(_ name: String) {
    precondition(tensors[name] != nil, "no tensor \(name)")
    tensors[name] = nil
  }

  /// Renames every tensor.
  mutating func rename(_ change: (String) -> String) {
    tensors = Dictionary(uniqueKeysWithValues: tensors.map { (change($0.key), $0.value) })
  }

  func write(to folder: String) throws {
    try SafetensorsFile.write(
      tensors: tensors.map { (TensorDeclaration($0.key, $0.value.elementType, $0.value.shape), bytes: $0.value.bytes) },
      to: folder + "/model.safetensors")
    try Data(JSONValue.object(configuration).serialized().utf8).write(to: URL(filePath: folder + "/config.json"))
  }

  /// Writes the checkpoint, opens it and loads all of its layers.
  func load<B: Backend>(on backend: B) throws -> (model: MoEModel, layers: [MoELayer<B>]) {
    let folder = try TemporaryFolder()
    try write(to: folder.path)
    let model = try MoEModel(opening: folder.path)
    return (model, try model.layers.map { try MoELayer($0, of: model, on: backend) })
  }

  /// Writes and opens the checkpoint.
  @discardableResult
  func open() throws -> MoEModel {
    let folder = try TemporaryFolder()
    try write(to: folder.path)
    return try MoEModel(opening: folder.path)
  }
}
