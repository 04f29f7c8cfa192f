// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import MoE
import Tensors

/// A safetensors file with the input of a layer.
struct InputFile {
  private let path: String
  private let catalog: TensorCatalog

  init(_ path: String) throws {
    self.path = path
    catalog = try TensorCatalog(opening: path)
  }

  /// A floating-point tensor `[tokens, width]`.
  ///
  /// - Parameter what: what it is, for messages.
  func matrix(_ name: String, width: Int, what: String) throws -> (rows: Int, values: [Float]) {
    let record = try record(name, what: what)
    guard record.shape.rank == 2, record.shape[1] == width else {
      throw MoEError(
        .shapeMismatch, "\(what) have another shape than the layer reads", file: path, subject: name,
        expected: "[tokens, \(width)]", found: "\(record.shape)")
    }
    guard [.f32, .bf16, .f16].contains(record.elementType) else {
      throw MoEError(
        .typeMismatch, "\(what) are of a type that can't be read", file: path, subject: name,
        expected: "F32, BF16 or F16", found: record.elementType.rawValue)
    }
    return (record.shape[0], try catalog.floats(of: record))
  }

  /// Token ids `[tokens]`.
  func ids(_ name: String) throws -> [Int32] {
    let record = try record(name, what: "token ids")
    guard record.shape.rank == 1 else {
      throw MoEError(
        .shapeMismatch, "token ids have another shape than the layer reads", file: path, subject: name,
        expected: "[tokens]", found: "\(record.shape)")
    }
    return try catalog.integers(of: record).map { value in
      guard let id = Int32(exactly: value) else {
        throw MoEError(.invalidValue, "a token id is out of range", file: path, subject: name, found: "\(value)")
      }
      return id
    }
  }

  private func record(_ name: String, what: String) throws -> TensorRecord {
    if let record = catalog[name] { return record }
    throw MoEError(
      .missingTensor, "the file has no such tensor (\(what))", file: path, subject: name,
      expected: "one of " + catalog.records.map(\.name).joined(separator: ", "))
  }
}
