// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct TensorCatalogTests {
  private let shard1 = "model-00001-of-00002.safetensors"
  private let shard2 = "model-00002-of-00002.safetensors"

  /// Two shards of two tensors each, with an index.
  private func sharded(totalSize: JSONValue = 48) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a", "c"], shard1)
    try folder.writeTensors(["b", "d"], shard2)
    try folder.writeIndex(["a": shard1, "c": shard1, "b": shard2, "d": shard2], totalSize: totalSize)
    return folder
  }

  private func open(_ folder: TemporaryFolder) throws -> TensorCatalog { try TensorCatalog(opening: folder.path) }

  @Test func indexedShards() throws {
    let folder = try sharded()
    for path in [folder.path, folder["model.safetensors.index.json"]] {
      let catalog = try TensorCatalog(opening: path)
      #expect(catalog.records.map(\.name) == ["a", "b", "c", "d"])
      #expect(catalog.records.map(\.file) == [0, 1, 0, 1])
      #expect(catalog.path(of: catalog["d"]!) == folder[shard2])
      #expect(try catalog.bytes(of: catalog["d"]!) == Array(repeating: 1, count: 12))
      #expect(catalog["aa"] == nil)
      #expect(catalog["zz"] == nil)
      #expect(catalog.byteCount == 48)
      #expect(catalog.warnings.isEmpty)
    }
  }

  @Test func totalSizeIsAdvice() throws {
    #expect(
      try open(sharded(totalSize: 47)).warnings.first?.contains("total_size is 47, but the tensors have 48 bytes")
        == true)
  }

  @Test func absentShard() throws {
    let folder = try sharded()
    try FileManager.default.removeItem(atPath: folder[shard2])
    expectFaults(
      [.missingShard], "shard 2 of 2 that model.safetensors.index.json names is missing (with 2 tensors)", shard2
    ) {
      _ = try open(folder)
    }
  }

  @Test func indexWithoutAShard() throws {
    let folder = try sharded()
    try folder.writeIndex(["a": shard1, "c": shard1])
    expectFaults([.missingShard], "no tensor is in shard 2 of 2") { _ = try open(folder) }
  }

  @Test func liesOfTheIndex() throws {
    let folder = try sharded()
    try folder.writeIndex(["a": shard2, "b": shard2, "c": shard1, "e": shard2])
    expectFaults(
      [.missingTensor, .unlistedTensor, .missingTensor],
      "a: the tensor is not in the file that the index names: expected it in \(shard2), found it in \(shard1)",
      "d: the tensor is in \(shard2) but not in the index", "e: the tensor is not in the file that the index names",
      "found it in no file"
    ) { _ = try open(folder) }
  }

  @Test func tensorInTwoFiles() throws {
    let folder = try sharded()
    try folder.writeTensors(["b", "c", "d"], shard2)
    expectFaults([.duplicateTensor], "c: the tensor is in two files", shard1, shard2) { _ = try open(folder) }
  }

  /// The faults of all files are in one error, and a file that cannot be understood causes no others.
  @Test func faultsOfAllShards() throws {
    let folder = try sharded()
    try folder.write(safetensors("{"), shard1)
    try folder.write(safetensors(#"{"b":{"dtype":"U9","shape":[0],"data_offsets":[0,0]}}"#), shard2)
    expectFaults([.malformedJSON, .unknownElementType], shard1, shard2) { _ = try open(folder) }
  }

  @Test func escapingIndex() throws {
    let folder = try sharded()
    try folder.writeIndex(["a": "../\(shard1)", "c": "/elsewhere/\(shard2)"])
    expectFaults([.escapesFolder, .escapesFolder]) { _ = try open(folder) }
  }

  /// The cache of Hugging Face: `snapshots/<revision>/x` are links to `blobs/<digest>`.
  @Test func linkedShards() throws {
    let folder = try sharded()
    let manager = FileManager.default
    let snapshot = folder["models--org--my-model--v2/snapshots/abc"]
    try manager.createDirectory(atPath: snapshot, withIntermediateDirectories: true)
    for (index, name) in [shard1, shard2, "model.safetensors.index.json"].enumerated() {
      try manager.moveItem(atPath: folder[name], toPath: folder["blob\(index)"])
      try manager.createSymbolicLink(atPath: "\(snapshot)/\(name)", withDestinationPath: "../../../blob\(index)")
    }
    try folder.write("{}", "models--org--my-model--v2/snapshots/abc/config.json")
    let checkpoint = try Checkpoint(opening: snapshot)
    #expect(checkpoint.catalog.records.count == 4)
    #expect(checkpoint.name == "org/my-model--v2")
    try manager.removeItem(atPath: folder["blob1"])
    expectFaults([.missingShard], "broken symbolic link") { _ = try TensorCatalog(opening: snapshot) }
  }

  @Test func shardsWithoutIndex() throws {
    let folder = try sharded()
    try FileManager.default.removeItem(atPath: folder["model.safetensors.index.json"])
    #expect(try open(folder).records.count == 4)
    try folder.writeTensors(["extra"], "other.safetensors")
    #expect(try open(folder).warnings == ["not part of the checkpoint, and ignored: other.safetensors"])
    try FileManager.default.removeItem(atPath: folder[shard1])
    expectFaults([.missingShard], "shard 1 of 2 is missing", "has 1 of 2") { _ = try open(folder) }
  }

  @Test func setsThatDoNotBelongTogether() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "model-00001-of-00002.safetensors")
    try folder.writeTensors(["b"], "model-00001-of-00003.safetensors")
    expectFaults([.ambiguous], "model-00001-of-00002.safetensors, model-00001-of-00003.safetensors") {
      _ = try open(folder)
    }
  }

  @Test func numbersOfShards() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "model-00000-of-00002.safetensors")
    try folder.writeTensors(["b"], "model-00001-of-00002.safetensors")
    expectFaults([.missingShard], "shard 2 of 2") { _ = try open(folder) }
    // No set, but a name.
    try FileManager.default.removeItem(atPath: folder["model-00000-of-00002.safetensors"])
    try FileManager.default.moveItem(
      atPath: folder["model-00001-of-00002.safetensors"], toPath: folder["model-1-of-99999999999.safetensors"])
    #expect(try open(folder).records.count == 1)
  }

  @Test func oneFile() throws {
    let folder = try TemporaryFolder()
    try folder.writeTensors(["a"], "weights.safetensors")
    try folder.write("half a file", ".weights.safetensors.tmp")
    try folder.write("of another system", "._weights.safetensors")
    #expect(try open(folder).records.count == 1)
    #expect(try TensorCatalog(opening: folder["weights.safetensors"]).records.count == 1)
    try folder.writeTensors(["b"], "more.safetensors")
    expectFaults([.ambiguous], "found more.safetensors, weights.safetensors", "give the path") { _ = try open(folder) }
    try folder.writeTensors(["c"], "model.safetensors")
    #expect(try open(folder).records.map(\.name) == ["c"])
  }

  @Test(arguments: ["pytorch_model.bin", "model.pt", "x.PTH", "a.ckpt", "a.pkl", "pytorch_model-00001-of-00002.bin"])
  func pickles(name: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("\u{80}\u{2}", name)
    try folder.write("{}", "config.json")
    for path in [folder.path, folder[name]] {
      expectFaults(
        [.pickle], folder[name], "can run any code", "python3 -c", "from safetensors.torch import save_file",
        "weights_only=True"
      ) { _ = try TensorCatalog(opening: path) }
    }
  }

  @Test func pickleInAnIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write("x", "pytorch_model.bin")
    try folder.writeIndex(["a": "pytorch_model.bin"])
    expectFaults([.pickle]) { _ = try open(folder) }
  }

  /// Which container of a folder is opened: the first file of it, or a fault that names what is ambiguous.
  @Test(arguments: [
    (["m.gguf"], "m.gguf"), (["m.gguf", "oracle.safetensors"], "m.gguf"), (["m.gguf", "config.json"], "m.gguf"),
    (["m.gguf", "mmproj-m.gguf", "imatrix.gguf"], "m.gguf"), (["m.gguf", "a.safetensors", "b.safetensors"], "m.gguf"),
    (["m.gguf", "model.safetensors", "config.json"], "model.safetensors"),
    (["m.gguf", "n.gguf", "model-00001-of-00001.safetensors", "config.json"], "model-00001-of-00001.safetensors"),
    (["m.gguf", "model.safetensors"], "ambiguous: model.safetensors, m.gguf"),
    (["m.gguf", "x.safetensors", "config.json"], "ambiguous: x.safetensors, m.gguf"),
    (["m.gguf", "n.gguf"], "ambiguous: m.gguf, n.gguf"),
    (["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "n.gguf"], "ambiguous: m-00001-of-00002.gguf, n.gguf"),
  ])
  func containers(names: [String], expected: String) throws {
    let folder = try TemporaryFolder()
    for name in names {
      if name.hasSuffix(".safetensors") {
        try folder.writeTensors(["a"], name)
      } else {
        try folder.write(name.hasSuffix(".gguf") ? GGUFImage().bytes : Array("{}".utf8), name)
      }
    }
    guard expected.hasPrefix("ambiguous: ") else {
      let catalog = try TensorCatalog(opening: folder.path)
      #expect(catalog.files.map(\.path) == [folder[expected]])
      return #expect((catalog.ggufMetadata != nil) == expected.hasSuffix(".gguf"))
    }
    expectFaults([.ambiguous], "found \(expected.dropFirst("ambiguous: ".count));") {
      _ = try TensorCatalog(opening: folder.path)
    }
  }

  @Test func nothingThere() throws {
    let folder = try TemporaryFolder()
    expectFaults([.unreadable], "found an empty folder") { _ = try open(folder) }
    try folder.write("x", "README.md")
    expectFaults([.unreadable], "found README.md") { _ = try open(folder) }
    expectFaults([.unreadable], "No such file") { _ = try TensorCatalog(opening: folder["absent"]) }
    expectFaults([.unreadable], "hf download mistralai/Mixtral-8x7B-v0.1") {
      _ = try TensorCatalog(opening: "mistralai/Mixtral-8x7B-v0.1")
    }
  }

  @Test func elements() throws {
    let folder = try TemporaryFolder()
    try SafetensorsFile.write(
      tensors: [
        (TensorDeclaration("bf16", .bf16, [2]), bytes: [0xC0, 0x3F, 0x00, 0xC0]),
        (TensorDeclaration("i64", .i64, [1]), bytes: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        (TensorDeclaration("u64", .u64, [1]), bytes: [0, 0, 0, 0, 0, 0, 0, 0x80]),
        (TensorDeclaration("f4", .f4, [2]), bytes: [0x2B]),
      ], to: folder["m.safetensors"])
    let catalog = try open(folder)
    #expect(try catalog.floats(of: catalog["bf16"]!) == [1.5, -2])
    #expect(try catalog.integers(of: catalog["i64"]!) == [-1])
    #expect(try catalog.floats(of: catalog["i64"]!) == [-1])
    expectFaults([.unsupported], "found U64") { _ = try catalog.integers(of: catalog["u64"]!) }
    expectFaults([.unsupported], "bf16: ") { _ = try catalog.integers(of: catalog["bf16"]!) }
    expectFaults([.unsupported], "found F4") { _ = try catalog.floats(of: catalog["f4"]!) }
    var middle: [UInt8] = [0, 0]
    try unsafe middle.withUnsafeMutableBytes { unsafe try catalog.read(catalog["bf16"]!, range: 1..<3, into: $0) }
    #expect(middle == [0x3F, 0x00])
  }
}
