// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import Testing

@Suite struct GGUFHeaderTests {
  @Test(arguments: [2, 3] as [UInt32])
  func wholeHeader(version: UInt32) throws {
    var image = GGUFImage(
      [
        ("general.architecture", Field.string("qwen3moe")), ("qwen3moe.expert_count", Field.u32(128)),
        ("general.name", Field.string("größer 😀")),
      ],
      tensors: [
        .init("blk.0.ffn_down_exps.weight", .q4_K, 256, 3, 2, offset: 64),
        .init("blk.0.ffn_gate_inp.weight", .f32, 8, 2, offset: 0), .init("a", .i32, 0, offset: 64),
      ], dataSize: 64 + 6 * 144)
    image.version = version
    let header = try image.parse()
    #expect(header.version == Int(version))
    #expect(header.alignment == 32)
    #expect(header.metadata["general.architecture"] == "qwen3moe")
    #expect(header.metadata["qwen3moe.expert_count"]?.integer == 128)
    #expect(header.metadata["general.name"] == "größer 😀")
    #expect(header.tensors.map(\.name) == ["a", "blk.0.ffn_down_exps.weight", "blk.0.ffn_gate_inp.weight"])
    let down = header.tensors[1]
    #expect((down.shape, down.logicalShape) == ([2, 3, 144], [2, 3, 256]))
    #expect((down.elementType, down.ggmlType) == (.u8, .q4_K))
    #expect(down.offset == header.dataOffset + 64)
    #expect(down.byteCount == 6 * 144)
    #expect((header.tensors[2].elementType, header.tensors[2].ggmlType) == (.f32, nil))
    #expect(header.dataOffset % 32 == 0 && header.dataOffset == image.bytes.count - image.dataSize)
    #expect(header.warnings.isEmpty)
  }

  @Test func emptyFile() throws {
    let header = try GGUFImage().parse()
    #expect(header.tensors.isEmpty && header.metadata.isEmpty)
    // The padding after the header is not needed where no data follow.
    #expect(throws: Never.self) { try GGUFHeader(parsing: GGUFImage().header, fileSize: 24) }
  }

  @Test func everyValue() throws {
    let fields: [(String, [UInt8], JSONValue)] = [
      ("u8", Field.u8(255), 255), ("i8", Field.i8(-128), -128), ("u16", Field.u16(.max), 65535),
      ("i16", Field.i16(.min), -32768), ("u32", Field.u32(.max), .integer(Int(UInt32.max))),
      ("i32", Field.i32(.min), .integer(Int(Int32.min))), ("f32", Field.f32(1e-5), .number(Double(Float(1e-5)))),
      ("true", Field.bool(1), true), ("false", Field.bool(0), false), ("string", Field.string("x\ny"), "x\ny"),
      ("empty", Field.string(""), ""), ("u64", Field.u64(7), 7), ("big", Field.u64(.max), .number(0x1p64)),
      ("i64", Field.i64(.min), .integer(.min)), ("f64", Field.f64(0.1), 0.1), ("none", Field.array([]), []),
      ("strings", Field.array([Field.string("a"), Field.string("bc")]), ["a", "bc"]),
      ("booleans", Field.array([Field.bool(1), Field.bool(0)]), [true, false]),
      (
        "nested",
        Field.array([Field.array([Field.i8(1), Field.i8(-1)]), Field.array([]), Field.array([Field.f32(2)])]),
        [[1, -1], [], [2.0]]
      ),
    ]
    let header = try GGUFImage(fields.map { ($0.0, $0.1) }).parse()
    for (key, _, value) in fields { #expect(header.metadata[key] == value, "\(key)") }
    #expect(header.metadata.count == fields.count)
  }

  @Test func otherAlignment() throws {
    var image = GGUFImage(
      [("general.alignment", Field.u32(8))],
      tensors: [.init("a", .f32, 2), .init("b", .f32, 1, offset: 8)], dataSize: 12)
    image.alignment = 8
    let header = try image.parse()
    #expect(header.alignment == 8)
    #expect(header.tensors.map(\.offset) == [header.dataOffset, header.dataOffset + 8])
    #expect(header.dataOffset == image.bytes.count - 12)
  }

  /// Legal, but odd enough to be said.
  @Test func warnings() throws {
    func warnings(_ offset: UInt64, _ size: Int) throws -> [String] {
      try GGUFImage(tensors: [.init("a", .f32, 1), .init("b", .f32, 1, offset: offset)], dataSize: size).parse()
        .warnings
    }
    #expect(try warnings(32, 36) == [])
    #expect(try warnings(32, 64) == [])  // The last tensor padded, too.
    #expect(try warnings(64, 96) == ["test.gguf: 32 bytes between the tensors belong to none"])
    #expect(try warnings(32, 100) == ["test.gguf: 64 bytes after the last tensor belong to none"])
  }
}
