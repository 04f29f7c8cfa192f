// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

/// Folders with one damaged file, by the way of a user: they open, and all their bytes are read, or an error says why not.
@Suite struct FolderFuzzTests {
  private typealias File = (name: String, bytes: [UInt8])

  @Test func safetensors() throws {
    let folder = try TemporaryFolder()
    var files: [File] = [("config.json", Array(#"{"model_type": "mixtral", "num_local_experts": 8}"#.utf8))]
    let shards = [["a", "b"], ["c"]]
    var map: [String: JSONValue] = [:]
    for (number, tensors) in shards.enumerated() {
      let name = "model-0000\(number + 1)-of-00002.safetensors"
      try SafetensorsFile.write(
        tensors: tensors.map { (TensorDeclaration($0, .bf16, [2, 3]), bytes: [UInt8](repeating: 1, count: 12)) },
        to: folder[name])
      files.append((name, [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder[name])))))
      for tensor in tensors { map[tensor] = .string(name) }
    }
    let index: JSONValue = ["metadata": ["total_size": 36], "weight_map": .object(map)]
    files.append(("model.safetensors.index.json", Array(index.serialized().utf8)))
    try damage(files, in: folder) { () throws(CheckpointError) in
      let checkpoint = try Checkpoint(opening: folder.path)
      for record in checkpoint.catalog.records { _ = try checkpoint.catalog.bytes(of: record) }
    }
  }

  @Test func gguf() throws {
    let folder = try TemporaryFolder()
    let files = [1, 2].map { ("m-0000\($0)-of-00002.gguf", Corpus.input("gguf", "set-\($0)")) }
    try damage(files, in: folder, isText: false) { () throws(CheckpointError) in
      let model = try TensorCatalog(opening: folder.path)
      for tensor in model.records { _ = try model.floats(of: tensor) }
    }
  }

  /// Damages one file after the other; at the end all of them are whole again.
  private func damage(
    _ files: [File], in folder: TemporaryFolder, isText: Bool = true, _ read: () throws(CheckpointError) -> Void
  ) throws {
    for file in files { try folder.write(file.bytes, file.name) }
    for number in 0..<max(200, FuzzTests.inputCount / 1000) {
      var mutator = Mutator(seed: UInt64(FuzzTests.seed) << 32 + UInt64(number), isText: isText)
      let victim = files[number % files.count]
      try folder.write(mutator.mutated(victim.bytes), victim.name)
      do throws(CheckpointError) { try read() } catch { #expect(!error.description.isEmpty) }
      try folder.write(victim.bytes, victim.name)
    }
    #expect(throws: Never.self) { try read() }
  }
}
