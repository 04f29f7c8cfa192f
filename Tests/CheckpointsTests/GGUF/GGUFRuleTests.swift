// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import Testing

/// One broken rule at a time.
@Suite struct GGUFRuleTests {
  private func tensor(_ tensor: GGUFImage.Tensor, data: Int = 0) -> GGUFImage {
    GGUFImage(tensors: [tensor], dataSize: data)
  }

  @Test(
    arguments: [
      ([], Fault.Code.malformedHeader, "an empty file"), (Array("GGU".utf8), .malformedHeader, "0x47 0x47 0x55"),
      (Array("GGML\u{3}\0\0\0".utf8), .malformedHeader, "not a GGUF file"),
      (Array("GGUF".utf8), .malformedHeader, "the file ends in the version"),
      ([0x50, 0x4B, 3, 4, 0, 0, 0, 0, 0], .pickle, "pickle"),
      (Array("<!DOCTYPE html>".utf8), .malformedHeader, "a web page"),
      (Array("version https://git-lfs.github.com/spec/v1\n".utf8), .lfsPointer, "git lfs pull"),
    ] as [([UInt8], Fault.Code, String)])
  func magic(start: [UInt8], code: Fault.Code, fragment: String) {
    expectFaults([code], fragment) { _ = try GGUFHeader(parsing: start, fileSize: start.count) }
  }

  @Test(
    arguments: [
      (0, "version 0"), (1, "version 1"), (4, "version 4"), (3 << 24, "big-endian"), (.max, "version"),
    ] as [(UInt32, String)])
  func version(number: UInt32, fragment: String) {
    var image = GGUFImage()
    image.version = number
    expectFaults([.unsupported], fragment, "expected version 2 or 3") { try image.parse() }
  }

  @Test(arguments: [2, 1 << 32, 1 << 62, 1 << 63, .max] as [UInt64])
  func counts(count: UInt64) {
    var image = GGUFImage()
    image.tensorCount = count
    expectFaults([.malformedHeader], "the number of tensors is more than the file can hold") { try image.parse() }
    image = GGUFImage()
    image.fieldCount = count
    expectFaults([.malformedHeader], "the number of metadata keys is more") { try image.parse() }
  }

  /// Fewer than there are: the rest is taken for tensors, or for padding.
  @Test func countsTooSmall() {
    var image = GGUFImage([("a", Field.u32(1)), ("b", Field.u32(2))], tensors: [.init("t", .f32, 1)], dataSize: 4)
    image.fieldCount = 1
    #expect(throws: CheckpointError.self) { try image.parse() }
  }

  /// Cut anywhere, the file is refused.
  @Test func truncation() throws {
    let image = GGUFImage(
      [("s", Field.string("text")), ("a", Field.array([Field.array([Field.u16(1)])])), ("f", Field.f64(1))],
      tensors: [.init("t", .q8_0, 32, 2), .init("u", .f32, 1, offset: 96)], dataSize: 100)
    let bytes = image.bytes
    #expect(throws: Never.self) { try image.parse() }
    for count in 0..<bytes.count {
      let error = #expect(throws: CheckpointError.self) {
        _ = try GGUFHeader(parsing: Array(bytes.prefix(count)), fileSize: count)
      }
      if count >= image.header.count { #expect(error?.contains(.invalidOffset) == true) }
      // The bytes are missing, but not in the file.
      if count < image.header.count {
        #expect(throws: CheckpointError.self) {
          _ = try GGUFHeader(parsing: Array(bytes.prefix(count)), fileSize: bytes.count)
        }
      }
    }
  }

  @Test(arguments: [6, 1 << 31, 1 << 63, .max] as [UInt64])
  func lengths(length: UInt64) {
    let fragment = "is more than the file can hold"
    let string = little(8 as UInt32) + little(length) + [0x61, 0x62, 0x63, 0x64]
    expectFaults([.malformedHeader], "length of a metadata value", fragment) {
      let header = GGUFImage([("k", string)]).header
      _ = try GGUFHeader(parsing: header, fileSize: header.count)
    }
    expectFaults([.malformedHeader], "the length of an array (k)", fragment) {
      let header = GGUFImage([("k", Field.array([Field.u8(1)], count: length))]).header
      _ = try GGUFHeader(parsing: header, fileSize: header.count)
    }
    let key = Array(GGUFImage().header.prefix(16)) + little(1 as UInt64) + little(length) + Array("key".utf8) + [0, 0]
    expectFaults([.malformedHeader], "the length of a metadata key", fragment) {
      _ = try GGUFHeader(parsing: key, fileSize: key.count)
    }
  }

  /// Arrays of arrays that say to have many elements take no memory.
  @Test func arrayLengthsCountTheirElements() {
    for type: UInt32 in [8, 9, 10, 11, 12] {
      let header = GGUFImage([("k", Field.array([], type: type, count: 4) + [UInt8](repeating: 0, count: 31))]).header
      expectFaults([.malformedHeader], "at most \(31 / (type == 9 ? 12 : 8))", "found 4") {
        _ = try GGUFHeader(parsing: header, fileSize: header.count)
      }
    }
  }

  @Test func limits() {
    // Zeros enough for any length: the limits hold before memory is taken.
    let start = Array(GGUFImage().header.prefix(16)) + little(1 as UInt64) + little(1 as UInt64) + [0x6B]
    let string = start + little(8 as UInt32) + little(UInt64(GGUFHeader.lengthLimit))
    expectFaults([.tooLarge], "the header is too long") { _ = try GGUFHeader(parsing: string, fileSize: 1 << 40) }
    let array = start + Field.array([], type: 0, count: UInt64(GGUFHeader.elementLimit) + 1)
    expectFaults([.tooLarge], "k: too many elements") { _ = try GGUFHeader(parsing: array, fileSize: 1 << 40) }
    for place in [8, 16] {
      var counts = GGUFImage().header
      counts.replaceSubrange(place..<place + 8, with: little(UInt64(GGUFHeader.countLimit) + 1))
      expectFaults([.tooLarge], "is too large: expected at most 1048576, found 1048577") {
        _ = try GGUFHeader(parsing: counts, fileSize: 1 << 40)
      }
    }
    var nested = Field.array([])
    for _ in 1..<GGUFHeader.depthLimit { nested = Field.array([nested]) }
    #expect(throws: Never.self) { try GGUFImage([("k", nested)]).parse() }
    expectFaults([.malformedHeader], "k: more than 8 levels of arrays") {
      try GGUFImage([("k", Field.array([nested]))]).parse()
    }
  }

  @Test func valueTypes() {
    for type in [13, 14, 1 << 31, .max] as [UInt32] {
      expectFaults([.malformedHeader], "k: a type of metadata that does not exist: expected 0 to 12, found \(type)") {
        try GGUFImage([("k", little(type) + little(0 as UInt64))]).parse()
      }
      expectFaults([.malformedHeader], "a type of metadata that does not exist") {
        try GGUFImage([("k", Field.array([], type: type))]).parse()
      }
    }
    expectFaults([.malformedHeader], "k: a boolean that is neither 0 nor 1: found 2") {
      try GGUFImage([("k", Field.bool(2))]).parse()
    }
  }

  @Test func keys() {
    expectFaults([.malformedHeader], "1 to 65535 bytes, found 0") { try GGUFImage([("", Field.u8(1))]).parse() }
    expectFaults([.malformedHeader], "found 65536") {
      try GGUFImage([(String(repeating: "k", count: 65536), Field.u8(1))]).parse()
    }
    #expect(throws: Never.self) { try GGUFImage([(String(repeating: "k", count: 65535), Field.u8(1))]).parse() }
    expectFaults([.malformedHeader], "a control character in a metadata key") {
      try GGUFImage([("a\nb", Field.u8(1))]).parse()
    }
    expectFaults([.duplicateKey], "k: the key stands twice") {
      try GGUFImage([("k", Field.u8(1)), ("j", Field.u8(1)), ("k", Field.string("x"))]).parse()
    }
  }

  @Test(arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x61, 0x80]] as [[UInt8]])
  func text(bytes: [UInt8]) {
    expectFaults([.invalidUTF8], "k: a string that is not UTF-8") {
      try GGUFImage([("k", Field.string(bytes))]).parse()
    }
    expectFaults([.invalidUTF8], "byte 24: a metadata key is not UTF-8") {
      var image = GGUFImage()
      image.fields = [(bytes, Field.u8(1))]
      try image.parse()
    }
    expectFaults([.invalidUTF8], "byte 24: the name of a tensor is not UTF-8") {
      try tensor(.init(bytes, 0, [1]), data: 4).parse()
    }
  }

  @Test func alignment() {
    for number in [0, 3, 31, 33, 48, .max] as [UInt32] {
      expectFaults([.malformedHeader], "general.alignment: an alignment that is not possible", "found \(number)") {
        try GGUFImage([("general.alignment", Field.u32(number))]).parse()
      }
    }
    for field in [Field.u64(32), Field.i32(32), Field.string("32"), Field.f32(32), Field.array([Field.u32(32)])] {
      expectFaults([.malformedHeader], "the alignment has the wrong type: expected uint32") {
        try GGUFImage([("general.alignment", field)]).parse()
      }
    }
    for number in [1, 2, 64, 1 << 16, 1 << 31] as [UInt32] {
      #expect(throws: Never.self) { try GGUFImage([("general.alignment", Field.u32(number))]).parse() }
    }
  }

  @Test func names() {
    expectFaults([.invalidName], "without a name") { try tensor(.init("", .f32, 1), data: 4).parse() }
    expectFaults([.invalidName], "control character") { try tensor(.init("a\u{7F}", .f32, 1), data: 4).parse() }
    expectFaults([.invalidName], "at most 1024") {
      try tensor(.init(String(repeating: "n", count: 1025), .f32, 1), data: 4).parse()
    }
    expectFaults([.duplicateKey], "t: the tensor stands twice") {
      try GGUFImage(tensors: [.init("t", .f32, 1), .init("t", .f32, 1, offset: 32)], dataSize: 36).parse()
    }
  }

  @Test(arguments: [0, 5, 6] as [UInt32])
  func ranks(rank: UInt32) {
    let extents = [UInt64](repeating: 1, count: Int(rank))
    expectFaults([.malformedHeader], "t: a number of dimensions", "1 to 4, found \(rank)") {
      try tensor(.init(Array("t".utf8), 0, extents), data: 4).parse()
    }
  }

  @Test func ranksBeyondTheFile() {
    for rank in [100, 1 << 20, .max] as [UInt32] {
      expectFaults([.malformedHeader, .malformedHeader], "a number of dimensions", "the file ends in the shape") {
        try tensor(.init(Array("t".utf8), 0, [1], rank: rank), data: 4).parse()
      }
    }
  }

  @Test(
    arguments: [
      (4, "4 (Q4_2, withdrawn)"), (9, "Q8_1"), (15, "Q8_K"), (31, "withdrawn"), (41, "Q1_0"), (99, "found 99"),
      (.max, "4294967295"),
    ] as [(UInt32, String)])
  func types(number: UInt32, fragment: String) {
    expectFaults([.unknownElementType], "t: a type of tensor that is not read: expected one of 0 (F32)", fragment) {
      try tensor(.init(Array("t".utf8), number, [256]), data: 1024).parse()
    }
  }

  @Test func blocks() {
    expectFaults([.sizeMismatch], "t: a row is no whole number of blocks: expected a multiple of 256 (Q4_K), found 128")
    {
      try tensor(.init("t", .q4_K, 128, 2), data: 144).parse()
    }
    for type in GGMLType.allCases where type.blockElements > 1 {
      expectFaults([.sizeMismatch]) {
        try tensor(.init("t", type, UInt64(type.blockElements + 1)), data: 1024).parse()
      }
      let whole = tensor(.init("t", type, UInt64(type.blockElements)), data: type.blockBytes)
      #expect(throws: Never.self) { try whole.parse() }
      var short = whole
      short.dataSize -= 1
      expectFaults([.invalidOffset], "1 of 1 tensors are cut off") { try short.parse() }
    }
  }

  @Test(
    arguments: [
      [.max], [1 << 63], [1 << 62, 4], [1 << 32, 1 << 32], [3_037_000_500, 3_037_000_500], [1 << 61],
      [1 << 30, 1 << 31],
      [1 << 16, 1 << 16, 1 << 16, 1 << 16],
    ] as [[UInt64]])
  func overflow(extents: [UInt64]) {
    expectFaults([.shapeOverflow], "overflows") { try tensor(.init(Array("t".utf8), 0, extents), data: 64).parse() }
  }

  /// CVE-2026-33298: exabytes by the header, four megabytes by the file.
  @Test func logicalExabytes() {
    expectFaults([.invalidOffset], "1 of 1 tensors are cut off") {
      try tensor(.init("t", .q4_0, 1 << 40, 1 << 20), data: 64).parse()
    }
  }

  @Test(arguments: [1, 4, 31, 33, .max] as [UInt64])
  func offsetsAreAligned(offset: UInt64) {
    expectFaults([.invalidOffset], "t: the data are not aligned: expected a multiple of 32, found \(offset)") {
      try tensor(.init("t", .f32, 1, offset: offset), data: 64).parse()
    }
  }

  @Test(arguments: [64, 96, 1 << 40, 1 << 63 - 64, 1 << 63, .max - 31] as [UInt64])
  func offsetsAreInTheFile(offset: UInt64) {
    expectFaults([.invalidOffset], offset < 1 << 62 ? "cut off" : "after the end of the file") {
      try tensor(.init("t", .f32, 1, offset: offset), data: 64).parse()
    }
  }

  @Test func overlaps() {
    func image(_ ranges: (UInt64, UInt64)..., size: Int) -> GGUFImage {
      GGUFImage(
        tensors: ranges.enumerated().map { index, range in
          .init("\(index)", .i8, range.1 - range.0, offset: range.0)
        }, dataSize: size)
    }
    #expect(throws: Never.self) { try image((64, 96), (0, 33), (96, 97), (96, 96), size: 97).parse() }
    expectFaults([.invalidOffset], "1: the data overlap those of \"0\"") {
      try image((0, 33), (32, 64), size: 64).parse()
    }
    expectFaults([.invalidOffset], "overlap") { try image((0, 32), (0, 32), size: 32).parse() }
    expectFaults([.invalidOffset, .invalidOffset]) { try image((0, 128), (32, 40), (64, 70), size: 128).parse() }
    // All of a file in one tensor's place, ten times (the attack of safetensors' tests).
    let attack = GGUFImage(tensors: (0..<10).map { .init("w\($0)", .f32, 4) }, dataSize: 16)
    expectFaults(Array(repeating: .invalidOffset, count: 9), "overlap", "w9") { try attack.parse() }
  }

  @Test func allFaultsOfAHeaderAreListed() {
    var image = GGUFImage(
      [("general.alignment", Field.u32(16)), ("b", Field.bool(7)), ("s", Field.string([0xFF])), ("b", Field.bool(1))],
      tensors: [
        .init("a", .q4_0, 31), .init("b", .f32, 1, offset: 8), .init(Array("c".utf8), 77, [1]),
        .init("d", .f32, 1 << 40, 1 << 40), .init("", .f32, 1, offset: 16), .init(Array("e".utf8), 0, []),
        .init("a", .f32, 1, offset: 32),
      ], dataSize: 36)
    image.alignment = 16
    expectFaults(
      [
        .malformedHeader, .invalidUTF8, .duplicateKey, .sizeMismatch, .invalidOffset, .unknownElementType,
        .shapeOverflow, .invalidName, .malformedHeader, .duplicateKey,
      ]
    ) { try image.parse() }
    // What was found before the structure is lost is listed too.
    expectFaults([.duplicateKey, .malformedHeader]) {
      try GGUFImage([("a", Field.u8(1)), ("a", Field.u8(1)), ("z", little(99 as UInt32))]).parse()
    }
  }
}
