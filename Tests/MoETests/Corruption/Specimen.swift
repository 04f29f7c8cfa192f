// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors

/// A checkpoint of the oracle in memory, to be damaged and written.
struct Specimen {
  let name: String
  /// The first layer with experts, as it was before.
  let layer: MoEModel.Layer
  var fixture: CheckpointFixture
  /// Other files, by name; of a GGUF model its only file.
  var files: [String: [UInt8]] = [:]
  private let records: [String: TensorRecord]
  /// Done to the folder after it was written.
  var finish: (@Sendable (String) throws -> Void)?

  static let ggufName = "model.gguf"
  var isGGUF: Bool { files[Self.ggufName] != nil }

  init(_ folder: String) throws {
    name = String(folder.split(separator: "/").last!)
    let model = try MoEModel(opening: folder)
    layer = model.layers[0]
    let catalog = model.checkpoint.catalog
    records = Dictionary(uniqueKeysWithValues: catalog.records.map { ($0.name, $0) })
    fixture = CheckpointFixture(configuration: model.checkpoint.configuration.object!)
    if catalog.ggufMetadata != nil {
      files[Self.ggufName] = try RandomAccessFile.contents(of: catalog.files[0].path, limit: 1 << 26)
    } else {
      try fixture.read(catalog)
      for name in ["hf_quant_config.json"] where FileManager.default.fileExists(atPath: folder + "/" + name) {
        files[name] = try RandomAccessFile.contents(of: folder + "/" + name, limit: 1 << 20)
      }
    }
  }

  func write(to folder: String) throws {
    if !isGGUF { try fixture.write(to: folder) }
    for (name, bytes) in files { try Data(bytes).write(to: URL(filePath: folder + "/" + name)) }
    try finish?(folder)
  }

  // MARK: - Access

  var experts: ExpertSource { layer.experts }

  func matrix(_ expert: Int, _ projection: Projection) -> MatrixSource {
    experts.experts[expert].first { $0.parts.contains { $0.projection == projection } }!
  }

  /// A part of the up projection of expert 1.
  func piece(_ role: TensorRole) -> MatrixSource.Piece? { matrix(1, .up)[role].flatMap { $0.byteCount > 0 ? $0 : nil } }

  /// Whether each expert has tensors of its own.
  var isPerExpert: Bool { matrix(0, .up)[.weight]!.tensor.name != matrix(1, .up)[.weight]!.tensor.name }

  func bytes(_ tensor: TensorRecord) -> [UInt8] {
    if isGGUF { return Array(files[Self.ggufName]![tensor.offset..<tensor.offset + tensor.byteCount]) }
    return fixture.tensors[tensor.name]!.bytes
  }

  func bytes(_ piece: MatrixSource.Piece) -> [UInt8] {
    Array(bytes(piece.tensor)[piece.offset..<piece.offset + piece.byteCount])
  }

  mutating func replace(_ tensor: TensorRecord, _ bytes: [UInt8], at offset: Int = 0) {
    if isGGUF {
      let first = tensor.offset + offset
      files[Self.ggufName]!.replaceSubrange(first..<first + bytes.count, with: bytes)
    } else {
      fixture.tensors[tensor.name]!.bytes.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
  }

  mutating func edit(_ piece: MatrixSource.Piece, _ change: (inout [UInt8]) -> Void) {
    var bytes = bytes(piece)
    change(&bytes)
    replace(piece.tensor, bytes, at: piece.offset)
  }

  /// Takes a tensor away; in GGUF it gets a name that nobody asks for.
  mutating func drop(_ tensor: TensorRecord) {
    guard isGGUF else { return fixture.tensors[tensor.name] = nil }
    rename(tensor.name, String(tensor.name.dropLast(6)) + "wxxxxt")
  }

  /// Replaces a text of the header by one of the same length.
  mutating func rename(_ text: String, _ other: String) {
    let (old, new) = (Array(text.utf8), Array(other.utf8))
    let image = files[Self.ggufName]!
    let place = image.indices.first { image[$0...].starts(with: old) }!
    files[Self.ggufName]!.replaceSubrange(place..<place + old.count, with: new)
  }

  /// Adds to a count of the metadata of a GGUF file, or to one of `keys` of the configuration.
  mutating func add(_ number: Int, toMetadata suffix: String, orOneOf keys: [String]) -> Bool {
    guard isGGUF else {
      guard let key = keys.first(where: { fixture.configuration[$0]?.integer != nil }) else { return false }
      fixture.configuration[key] = .integer(fixture.configuration[key]!.integer! + number)
      return true
    }
    let (image, key) = (files[Self.ggufName]!, Array(suffix.utf8) + [4, 0, 0, 0])
    guard let place = image.indices.first(where: { image[$0...].starts(with: key) }) else { return false }
    files[Self.ggufName]![place + key.count] &+= UInt8(truncatingIfNeeded: number)
    return true
  }

  /// Changes a setting of the quantisation wherever it stands.
  mutating func change(_ key: String, _ change: (JSONValue) -> JSONValue?) -> Bool {
    var isChanged = false
    func changed(_ value: JSONValue) -> JSONValue {
      guard case .object(var object) = value else { return value }
      for (name, member) in object {
        if name == key, let other = change(member) {
          object[name] = other
          isChanged = true
        } else {
          object[name] = changed(member)
        }
      }
      return .object(object)
    }
    guard let settings = fixture.configuration["quantization_config"], !isGGUF else { return false }
    fixture.configuration["quantization_config"] = changed(settings)
    files["hf_quant_config.json"] = nil
    return isChanged
  }
}
