// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import TestSupport
import Testing

@Suite struct GGUFCatalogTests {
  /// Part `number` of `count`, with one tensor `t<number>` of one row of numbers `number`.
  private func part(
    _ number: Int, of count: Int, tensors: Int? = nil, index: UInt16? = nil, name: String? = nil
  ) -> [UInt8] {
    let image = GGUFImage(
      [
        ("split.no", Field.u16(index ?? UInt16(number - 1))), ("split.count", Field.u16(UInt16(count))),
        ("split.tensors.count", Field.i32(Int32(tensors ?? count))),
      ], tensors: [.init(name ?? "t\(number)", .f32, 2)])
    return image.bytes + Array(repeating: little(Float(number).bitPattern), count: 2).flatMap(\.self)
  }

  @Test func oneFile() throws {
    let folder = try TemporaryFolder()
    // Two blocks of Q8_0 per row: d is 1, the codes are the number of the row.
    var bytes = GGUFImage(
      [("general.architecture", Field.string("llama"))],
      tensors: [.init("w", .q8_0, 64, 3, 2), .init("b", .f32, 1, offset: 416)]
    ).bytes
    for row in 0..<6 { for _ in 0..<2 { bytes += [0, 0x3C] + [UInt8](repeating: UInt8(row), count: 32) } }
    bytes += [UInt8](repeating: 0, count: 8) + little(Float(7).bitPattern)
    try folder.write(bytes, "model.gguf")
    for path in [folder.path, folder["model.gguf"]] {
      let model = try TensorCatalog(opening: path)
      #expect(model.path == path)
      #expect(model.ggufMetadata?["general.architecture"] == "llama")
      #expect(model.records.map(\.name) == ["b", "w"])
      #expect(model.byteCount == 4 + 12 * 34)
      let tensor = try #require(model["w"])
      #expect(model.path(of: tensor).hasSuffix("/model.gguf"))
      #expect(try model.floats(of: tensor) == (0..<6).flatMap { [Float](repeating: Float($0), count: 64) })
      #expect((tensor.elementType, tensor.ggmlType, tensor.typeName) == (.u8, .q8_0, "Q8_0"))
      #expect((tensor.shape, tensor.logicalShape) == ([2, 3, 68], [2, 3, 64]))
      #expect(throws: CheckpointError.self) { try model.integers(of: tensor) }
      let bias = try #require(model["b"])
      #expect((bias.elementType, bias.ggmlType, bias.shape, bias.logicalShape) == (.f32, nil, [1], [1]))
      #expect(try model.floats(of: model["b"]!) == [7])
      #expect(model["c"] == nil)
      var buffer = [UInt8](repeating: 0, count: 3)
      try unsafe buffer.withUnsafeMutableBytes { try unsafe model.read(tensor, range: 68..<71, into: $0) }
      #expect(buffer == [0, 0x3C, 1])
    }
  }

  @Test func set() throws {
    let folder = try TemporaryFolder()
    for number in 1...3 { try folder.write(part(number, of: 3), "m-0000\(number)-of-00003.gguf") }
    try folder.write([0], "mmproj-m.gguf")
    try folder.write([0], "README.md")
    // By any of its names.
    for path in [folder.path, folder["m-00001-of-00003.gguf"], folder["m-00003-of-00003.gguf"]] {
      let model = try TensorCatalog(opening: path)
      #expect(model.files.map(\.path) == (1...3).map { folder["m-0000\($0)-of-00003.gguf"] })
      #expect(model.records.map(\.name) == ["t1", "t2", "t3"])
      #expect(model.records.map(\.file) == [0, 1, 2])
      for number in 1...3 { #expect(try model.floats(of: model["t\(number)"]!) == [Float(number), Float(number)]) }
    }
  }

  @Test func missingShards() throws {
    let folder = try TemporaryFolder()
    try folder.write(part(2, of: 4), "m-00002-of-00004.gguf")
    try folder.write(part(4, of: 4), "m-00004-of-00004.gguf")
    for path in [folder.path, folder["m-00004-of-00004.gguf"]] {
      expectFaults(
        [.missingShard, .missingShard], "m-00001-of-00004.gguf: shard 1 of 4 is missing", "shard 3 of 4 is missing"
      ) { _ = try TensorCatalog(opening: path) }
    }
  }

  @Test func namesAndMetadataAgree() throws {
    func open(_ files: [(String, [UInt8])]) throws {
      let folder = try TemporaryFolder()
      for (name, bytes) in files { try folder.write(bytes, name) }
      _ = try TensorCatalog(opening: folder[files[0].0])
    }
    let second = ("m-00002-of-00002.gguf", part(2, of: 2))
    #expect(throws: Never.self) { try open([("m-00001-of-00002.gguf", part(1, of: 2)), second]) }
    // Swapped numbers, another total, no number in the name, no metadata.
    expectFaults([.malformedIndex], "part 1 of 2, by its name", "NAME-00002-of-00002.gguf") {
      try open([("m-00001-of-00002.gguf", part(1, of: 2, index: 1)), second])
    }
    expectFaults([.malformedIndex], "NAME-00001-of-00003.gguf") {
      try open([("m-00001-of-00002.gguf", part(1, of: 3)), second])
    }
    expectFaults([.malformedIndex], "a name without a number") { try open([("m.gguf", part(1, of: 2))]) }
    expectFaults([.malformedIndex], "split.no and split.count in the metadata") {
      try open([("m-00001-of-00002.gguf", GGUFImage().bytes), second])
    }
    expectFaults([.malformedIndex], "m-00002-of-00002.gguf", "split.no and split.count in the metadata") {
      try open([("m-00001-of-00002.gguf", part(1, of: 2)), ("m-00002-of-00002.gguf", GGUFImage().bytes)])
    }
    for index in [2, 3, .max] as [UInt16] {
      expectFaults([.malformedIndex], "which part of the set it is") {
        try open([("m-00001-of-00002.gguf", part(1, of: 2, index: index)), second])
      }
    }
    expectFaults([.malformedIndex, .malformedIndex], "expected 3, found 2", "split.tensors.count") {
      try open([
        ("m-00001-of-00002.gguf", part(1, of: 2, tensors: 3)), ("m-00002-of-00002.gguf", part(2, of: 2, tensors: 3)),
      ])
    }
    // The others' faults are of the set.
    expectFaults([.malformedHeader], "m-00002-of-00002.gguf", "not a GGUF file") {
      try open([("m-00001-of-00002.gguf", part(1, of: 2)), ("m-00002-of-00002.gguf", [0, 0, 0, 0, 0, 0, 0, 0])])
    }
    expectFaults([.duplicateTensor], "t1: the tensor is in two files", "m-00001-of-00002.gguf too") {
      try open([("m-00001-of-00002.gguf", part(1, of: 2)), ("m-00002-of-00002.gguf", part(2, of: 2, name: "t1"))])
    }
  }

  /// What llama.cpp's `gguf-split --merge` leaves, and a set of one.
  @Test func setsOfOne() throws {
    let folder = try TemporaryFolder()
    let merged = GGUFImage([
      ("split.no", Field.u16(0)), ("split.count", Field.u16(0)), ("split.tensors.count", Field.i32(9)),
    ])
    try folder.write(merged.bytes, "merged.gguf")
    try folder.write(part(1, of: 1), "one.gguf")
    try folder.write(GGUFImage().bytes, "m-00001-of-00001.gguf")
    // Programs that name files by their digests have GGUF files without an ending.
    try folder.write(GGUFImage().bytes, "sha256-0123")
    for name in try folder.names() {
      #expect(throws: Never.self) { try TensorCatalog(opening: folder[name]) }
    }
    expectFaults([.ambiguous], "m-00001-of-00001.gguf, merged.gguf, one.gguf") {
      _ = try TensorCatalog(opening: folder.path)
    }
  }

  @Test func nothingThere() throws {
    let folder = try TemporaryFolder()
    expectFaults([.unreadable], "a GGUF file, found an empty folder") { _ = try TensorCatalog(opening: folder.path) }
    expectFaults([.unreadable], "cannot open") { _ = try TensorCatalog(opening: folder["absent.gguf"]) }
    expectFaults([.unreadable], "cannot open") { _ = try GGUFFile(opening: folder["absent.gguf"]) }
  }

  /// A header of more than one piece of reading, as vocabularies make it.
  @Test func longHeader() throws {
    let folder = try TemporaryFolder()
    let tokens = (0..<50_000).map { "token \($0) of a long vocabulary" }
    let long = String(repeating: "x", count: 3 << 20)
    let image = GGUFImage(
      [
        ("tokenizer.ggml.tokens", Field.array(tokens.map { Field.string($0) })), ("template", Field.string(long)),
        ("last", Field.u8(9)),
      ], tensors: [.init("t", .f32, 1)], dataSize: 4)
    try folder.write(image.bytes, "long.gguf")
    let header = try GGUFFile(opening: folder["long.gguf"]).header
    #expect(header.metadata["tokenizer.ggml.tokens"]?.array?.count == tokens.count)
    #expect(header.metadata["tokenizer.ggml.tokens"]?.array?.last?.string == tokens.last)
    #expect(header.metadata["template"]?.string == long)
    #expect(header.metadata["last"] == 9)
    #expect(header == (try image.parse()))
  }
}
