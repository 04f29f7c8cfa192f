// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import TestSupport
import Testing

@Suite struct GGUFWriterTests {
  static let metadata: [String: GGUFValue] = [
    "general.architecture": .string("llama"), "general.name": .string("größer"), "a.u8": .uint8(200),
    "a.i8": .int8(-100), "a.u16": .uint16(60000), "a.i16": .int16(-30000), "a.u32": .uint32(4_000_000_000),
    "a.i32": .int32(-2_000_000_000), "a.u64": .uint64(1 << 40), "a.i64": .int64(-1 << 40), "a.f32": .float32(0.5),
    "a.f64": .float64(-2.25), "a.bool": .bool(true), "a.strings": .strings(["x", ""]), "a.int32s": .int32s([1, -2]),
    "a.float32s": .float32s([0.25]), "a.bools": .bools([false, true]),
  ]

  private func error(_ body: () throws -> Void) -> CheckpointError? {
    #expect(throws: CheckpointError.self) { try body() }
  }

  @Test(arguments: [32, 1, 64, 4096]) func readBack(alignment: Int) throws {
    let folder = try TemporaryFolder()
    let path = folder["a.gguf"]
    let values = (0..<512).map { Float($0) / 64 - 4 }
    let writer = try GGUFWriter(
      creating: path, metadata: Self.metadata,
      tensors: [
        GGUFDeclaration("z", .f32, [3]), GGUFDeclaration("experts", .q8_0, [2, 4, 64]),
        GGUFDeclaration("bf16", .bf16, [5, 1]), GGUFDeclaration("empty", .f16, [0, 8]),
      ], alignment: alignment)
    #expect(writer.tensors.map(\.name) == ["bf16", "empty", "experts", "z"])
    let bytes = GGMLType.q8_0.encode(values)
    try writer.write("experts", Array(bytes[272...]), at: 272)
    try writer.write("z", GGMLType.f32.encode([1, 2, 3]))
    try writer.write("experts", Array(bytes[..<272]))
    try writer.write("bf16", GGMLType.bf16.encode([1, 2, 3, 4, 5]))
    try writer.finish()

    let file = try GGUFFile(opening: path)
    #expect(file.header.warnings == [])
    #expect(file.header.alignment == alignment && file.header.version == 3)
    #expect(file.header.tensors == writer.tensors)
    #expect(file.header.tensors.allSatisfy { $0.offset % alignment == 0 })
    let metadata = file.header.metadata
    #expect(metadata["general.name"] == "größer" && metadata["a.u8"] == 200 && metadata["a.i8"] == -100)
    #expect(metadata["a.u16"] == 60000 && metadata["a.i16"] == -30000 && metadata["a.u32"] == 4_000_000_000)
    #expect(metadata["a.i32"] == -2_000_000_000 && metadata["a.u64"] == .integer(1 << 40))
    #expect(metadata["a.i64"] == .integer(-1 << 40) && metadata["a.f32"] == 0.5 && metadata["a.f64"] == -2.25)
    #expect(metadata["a.bool"] == true && metadata["a.strings"] == ["x", ""] && metadata["a.int32s"] == [1, -2])
    #expect(metadata["a.float32s"] == [0.25] && metadata["a.bools"] == [false, true])
    #expect(metadata.count == Self.metadata.count + (alignment == 32 ? 0 : 1))

    let catalog = try TensorCatalog(opening: path)
    let experts = try #require(catalog["experts"])
    #expect(try catalog.floats(of: experts) == GGMLType.q8_0.decode(bytes))
  }

  @Test func holes() throws {
    let folder = try TemporaryFolder()
    let tensors = [GGUFDeclaration("experts", .q4_K, [256, 2048, 7168])]
    let writer = try GGUFWriter(creating: folder["a.gguf"], metadata: [:], tensors: tensors, sparse: true)
    try writer.finish()
    #expect(try GGUFFile(opening: folder["a.gguf"]).header.tensors[0].byteCount == 256 * 2048 * 7168 / 256 * 144)
  }

  @Test func badDeclarations() throws {
    let folder = try TemporaryFolder()
    let failure = error {
      _ = try GGUFWriter(
        creating: folder["a.gguf"], metadata: ["": .bool(true), "general.alignment": .uint32(64)],
        tensors: [
          GGUFDeclaration("a", .q4_K, [2, 128]), GGUFDeclaration("a", .f32, [1]), GGUFDeclaration("", .f32, [1]),
          GGUFDeclaration("b", .f32, []), GGUFDeclaration("c", .f32, [1, 1, 1, 1, 1]),
          GGUFDeclaration("d", .f32, [1 << 40, 1 << 40]),
        ])
    }
    let codes = failure?.faults.map(\.code.rawValue).sorted()
    #expect(
      codes == [
        "duplicateTensor", "invalidName", "invalidName", "invalidOffset", "shapeOverflow", "shapeOverflow",
        "shapeOverflow", "sizeMismatch",
      ])
    for alignment in [0, -32, 48, Int.max] {
      #expect(
        error { _ = try GGUFWriter(creating: folder["a.gguf"], metadata: [:], tensors: [], alignment: alignment) }?
          .contains(.invalidOffset) == true)
    }
  }

  @Test func everyByteOnce() throws {
    let folder = try TemporaryFolder()
    let tensors = ["a", "b", "c"].map { GGUFDeclaration($0, .f32, [4]) }
    let writer = try GGUFWriter(creating: folder["a.gguf"], metadata: [:], tensors: tensors)
    #expect(error { try writer.write("x", [0]) }?.contains(.missingTensor) == true)
    #expect(error { try writer.write("a", [0], at: 16) }?.contains(.sizeMismatch) == true)
    try writer.write("a", [UInt8](repeating: 0, count: 16))
    try writer.write("a", [0], at: 3)
    try writer.write("b", [0], at: 3)
    let codes = error { try writer.finish() }?.faults.map(\.code.rawValue)
    #expect(codes == ["writtenTwice", "sizeMismatch", "missingTensor"])
    #expect(error { _ = try GGUFFile(opening: folder["a.gguf"]) }?.contains(.unreadable) == true)
  }
}
