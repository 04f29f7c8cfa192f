// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct SafetensorsWriterTests {
  private let declarations = [
    TensorDeclaration("b", .u8, [3]), TensorDeclaration("a", .u8, [5]), TensorDeclaration("z", .f32, [2]),
    TensorDeclaration("e", .f16, [0, 4]), TensorDeclaration("s", .f64, []),
  ]

  @Test func wideTypesFirstThenNames() throws {
    let folder = try TemporaryFolder()
    let writer = try SafetensorsWriter(creating: folder["m"], tensors: declarations)
    #expect(writer.records.map(\.name) == ["s", "z", "e", "a", "b"])
    #expect(writer.records[0].offset % 64 == 0)
    for record in writer.records {
      #expect(record.offset % (record.elementType.bitWidth / 8) == 0)
    }
  }

  @Test func piecesInAnyOrder() throws {
    let folder = try TemporaryFolder()
    let writer = try SafetensorsWriter(creating: folder["m.safetensors"], tensors: declarations, metadata: ["k": "v"])
    try writer.write("s", Array(repeating: 1, count: 8))
    try writer.write("a", [3, 4], at: 3)
    try writer.write("b", [9, 9, 9])
    try writer.write("a", [0, 1, 2], at: 0)
    try writer.write("z", Array(repeating: 5, count: 8))
    #expect(try folder.names().count == 1, "the temporary file, and not the name before the end")
    #expect(try !folder.names().contains("m.safetensors"))
    try writer.finish()
    #expect(try folder.names() == ["m.safetensors"])
    let catalog = try TensorCatalog(opening: folder.path)
    #expect(try catalog.bytes(of: catalog["a"]!) == [0, 1, 2, 3, 4])
    #expect(try catalog.bytes(of: catalog["e"]!) == [])
    #expect(catalog.metadata == [["k": "v"]])
  }

  @Test func whatIsMissingOrTwice() throws {
    let folder = try TemporaryFolder()
    try folder.write("what was there", "m.safetensors")
    do {
      let writer = try SafetensorsWriter(creating: folder["m.safetensors"], tensors: declarations)
      try writer.write("a", [0, 1, 2, 3, 4])
      try writer.write("a", [9], at: 4)
      try writer.write("b", [1], at: 1)
      try writer.write("s", Array(repeating: 1, count: 8))
      expectFaults(
        [.missingTensor, .writtenTwice, .sizeMismatch], "z: the tensor was never written",
        "a: bytes were written twice",
        "b: the tensor was written in part: expected 3 bytes, found 1"
      ) { try writer.finish() }
    }
    #expect(try folder.names() == ["m.safetensors"])
    #expect(try String(contentsOfFile: folder["m.safetensors"], encoding: .utf8) == "what was there")
  }

  @Test func nothingIsLeftBehind() throws {
    let folder = try TemporaryFolder()
    do {
      let writer = try SafetensorsWriter(creating: folder["m.safetensors"], tensors: declarations)
      try writer.write("a", [1, 2, 3, 4, 5])
      #expect(try folder.names().count == 1)
    }
    #expect(try folder.names() == [])
    expectFaults([.sizeMismatch], "bytes beyond the end", "found 6 at 0") {
      try SafetensorsFile.write(tensors: [(declarations[1], bytes: [1, 2, 3, 4, 5, 6])], to: folder["m"])
    }
    #expect(try folder.names() == [])
  }

  @Test func refusals() throws {
    let folder = try TemporaryFolder()
    let writer = try SafetensorsWriter(creating: folder["m"], tensors: declarations)
    expectFaults([.missingTensor], "was not declared") { try writer.write("q", [1]) }
    expectFaults([.sizeMismatch]) { try writer.write("a", [1], at: 5) }
    expectFaults([.sizeMismatch]) { try writer.write("a", [1], at: -1) }
    expectFaults([.sizeMismatch]) { try writer.write("a", [1], at: .max) }
    expectFaults([.unwritable], "No such file or directory") {
      _ = try SafetensorsWriter(creating: folder["absent/m"], tensors: declarations)
    }
    expectFaults(
      [.duplicateTensor, .invalidName, .invalidName, .shapeOverflow, .shapeOverflow, .shapeOverflow, .invalidName]
    ) {
      _ = try SafetensorsWriter(
        creating: folder["n"],
        tensors: [
          TensorDeclaration("a", .u8, [1]), TensorDeclaration("a", .u8, [1]), TensorDeclaration("", .u8, [1]),
          TensorDeclaration("x\n", .u8, [1]), TensorDeclaration("o", .f32, [.max]), TensorDeclaration("h", .f4, [3]),
          TensorDeclaration("n", .u8, [-1]), TensorDeclaration("__metadata__", .u8, [1]),
        ])
    }
    #expect(try folder.names().count == 1)
  }

  /// 16 TB of tensors on any disk.
  @Test func sparseFiles() throws {
    let folder = try TemporaryFolder()
    let writer = try SafetensorsWriter(
      creating: folder["model.safetensors"],
      tensors: [TensorDeclaration("big", .bf16, [1 << 20, 1 << 20]), TensorDeclaration("small", .f32, [2])],
      sparse: true)
    try writer.write("small", ElementType.f32.encode([1, 2]))
    try writer.finish()
    let catalog = try TensorCatalog(opening: folder.path)
    #expect(catalog.byteCount == 2 << 40 + 8)
    #expect(try catalog.floats(of: catalog["small"]!) == [1, 2])
    let big = catalog["big"]!
    var end: [UInt8] = [1, 1]
    try unsafe end.withUnsafeMutableBytes {
      unsafe try catalog.read(big, range: big.byteCount - 2..<big.byteCount, into: $0)
    }
    #expect(end == [0, 0])
    expectFaults([.tooLarge], "big: the tensor is too large for an array") { _ = try catalog.bytes(of: big) }
  }

  @Test func wholeFiles() throws {
    let folder = try TemporaryFolder()
    try AtomicFile.write("{}", to: folder["config.json"])
    try AtomicFile.write("{\"a\": 1}", to: folder["config.json"])
    #expect(try folder.names() == ["config.json"])
    #expect(try RandomAccessFile.contents(of: folder["config.json"], limit: 8) == Array("{\"a\": 1}".utf8))
    expectFaults([.tooLarge], "at most 7 bytes, found 8") {
      _ = try RandomAccessFile.contents(of: folder["config.json"], limit: 7)
    }
    // A folder of that name: the rename fails, and nothing is left.
    try FileManager.default.createDirectory(atPath: folder["taken"], withIntermediateDirectories: false)
    expectFaults([.unwritable]) { try AtomicFile.write("x", to: folder["taken"]) }
    #expect(try folder.names() == ["config.json", "taken"])
  }
}
