// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import Testing

/// One broken rule at a time.
@Suite struct SafetensorsRuleTests {
  /// A header whose single tensor has this entry.
  private func entry(_ members: String, data: Int = 0) -> [UInt8] { safetensors(#"{"t":{\#(members)}}"#, data: data) }

  @Test(arguments: [
    ("[]", "found 0x5b"), ("null", "found 0x6e"), ("", "found nothing"), ("\u{FEFF}{}", "found 0xef"),
    ("\"{}\"", "0x22"),
  ])
  func firstByte(json: String, fragment: String) {
    expectFaults([.malformedHeader], fragment) { try parse(safetensors(json)) }
  }

  @Test func duplicateTensors() {
    let one = #""t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}"#
    // The case that the reference takes: both entries claim the same bytes.
    expectFaults([.duplicateKey, .invalidOffset], "t: the tensor stands twice") {
      try parse(safetensors("{\(one),\(one)}", data: 4))
    }
    let empty = #""t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
    expectFaults([.duplicateKey]) { try parse(safetensors("{\(empty),\(empty)}")) }
    // Escapes do not hide a name, nor do Unicode normal forms.
    expectFaults([.duplicateKey]) {
      try parse(safetensors("{\(empty),\(empty.replacing(#""t""#, with: #""\u0074""#))}"))
    }
    expectFaults([.duplicateKey]) {
      try parse(
        safetensors(
          "{\(empty.replacing(#""t""#, with: #""\u00e9""#)),\(empty.replacing(#""t""#, with: #""e\u0301""#))}"))
    }
  }

  @Test(arguments: [
    (#""dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]"#, "\"dtype\" stands twice"),
    (#""dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]"#, "\"shape\" stands twice"),
    (#""dtype":"U8","shape":[0],"data_offsets":[0,0],"data_offsets":[0,0]"#, "\"data_offsets\" stands twice"),
    (#""dtype":"U8","shape":[0],"data_offsets":[0,0],"d\u0074ype":"U8""#, "\"dtype\" stands twice"),
  ])
  func duplicateMembers(members: String, fragment: String) {
    expectFaults([.duplicateKey], fragment) { try parse(entry(members)) }
  }

  /// Also in what nobody asked for.
  @Test(arguments: [#""x":{"a":1,"a":1}"#, #""x":[[{"a":1,"b":{"c":1,"c":1}}]]"#, #""dtype":{"a":1,"\u0061":1}"#])
  func duplicatesInSkippedValues(member: String) {
    expectFaults([.duplicateKey], "stands twice") { try parse(entry(member)) }
  }

  @Test func metadata() throws {
    let tensors = #""t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#
    #expect(try parse(safetensors("{\(tensors),\"__metadata__\":{\"a\":\"1\"}}")).metadata == ["a": "1"])
    expectFaults([.malformedHeader], "expected a string, found a number") {
      try parse(safetensors(#"{"__metadata__":{"a":1}}"#))
    }
    expectFaults([.malformedHeader], "expected an object, found null") {
      try parse(safetensors(#"{"__metadata__":null}"#))
    }
    expectFaults([.duplicateKey]) { try parse(safetensors(#"{"__metadata__":{"a":"1","a":"2"}}"#)) }
    expectFaults([.duplicateKey]) { try parse(safetensors(#"{"__metadata__":{},"__metadata__":{}}"#)) }
    expectFaults([.malformedHeader, .malformedHeader]) {
      try parse(safetensors(#"{"__metadata__":{"a":[1,{"b":null}],"c":true}}"#))
    }
  }

  @Test(arguments: ["F7", "f32", "", "BF16 ", "F8_E4M3FN"])
  func unknownElementTypes(name: String) {
    expectFaults([.unknownElementType], "test.safetensors: t: unknown dtype: expected one of F64", "\"\(name)\"") {
      try parse(entry(#""dtype":"\#(name)","shape":[0],"data_offsets":[0,0]"#))
    }
  }

  @Test(arguments: [
    ("-1", Fault.Code.malformedHeader), ("1.0", .malformedHeader), ("1e0", .malformedHeader),
    ("\"1\"", .malformedHeader),
    ("null", .malformedHeader), ("[1]", .malformedHeader), ("9223372036854775808", .shapeOverflow),
    ("100000000000000000000000000", .shapeOverflow), ("true", .malformedHeader),
  ])
  func extents(text: String, code: Fault.Code) {
    expectFaults([code], "a dimension is not") {
      try parse(entry(#""dtype":"U8","shape":[\#(text)],"data_offsets":[0,0]"#))
    }
  }

  @Test(arguments: [
    "[-1,0]", "[0,-1]", "[0.0,0]", "[0,1e3]", "[0,9223372036854775808]", "[0]", "[]", "[0,0,0]", "[4,0]",
  ])
  func offsets(text: String) {
    expectFaults([.invalidOffset]) { try parse(entry(#""dtype":"U8","shape":[0],"data_offsets":\#(text)"#)) }
  }

  @Test(arguments: ["[\"0\",0]", "{}", "null", "\"0,0\"", "0"])
  func offsetsOfAnotherKind(text: String) {
    expectFaults([.malformedHeader]) { try parse(entry(#""dtype":"U8","shape":[0],"data_offsets":\#(text)"#)) }
  }

  @Test(arguments: [
    (#""shape":[0],"data_offsets":[0,0]"#, "no dtype"), (#""dtype":"U8","data_offsets":[0,0]"#, "no shape"),
    (#""dtype":"U8","shape":[0]"#, "no data_offsets"),
    (#""dtype":"U8","shape":[0],"data_offsets":[0,0],"strides":[1]"#, "unknown key \"strides\""),
    (#""dtype":8,"shape":[0],"data_offsets":[0,0]"#, "the dtype is not a string"),
    (#""dtype":"U8","shape":4,"data_offsets":[0,0]"#, "the shape is not an array"),
  ])
  func members(text: String, fragment: String) { expectFaults([.malformedHeader], fragment) { try parse(entry(text)) } }

  @Test(arguments: ["1", "null", "[]", "\"U8\""])
  func entriesOfAnotherKind(text: String) {
    // The bytes that belong to nobody may be its: one fault, not two.
    expectFaults([.malformedHeader], "not an object") { try parse(safetensors(#"{"t":\#(text)}"#, data: 4)) }
    expectFaults([.malformedHeader], "not an object") { try parse(safetensors(#"{"t":\#(text)}"#)) }
  }

  @Test(arguments: [
    (ElementType.f4, "[3]", 2, "12 bits"), (.f4, "[]", 1, "4 bits"), (.f6e2m3, "[2]", 2, "12 bits"),
    (.f6e3m2, "[1,5]", 4, "30 bits"),
  ])
  func bitsOfNoWholeByte(type: ElementType, shape: String, bytes: Int, fragment: String) {
    expectFaults([.sizeMismatch], "no whole number of bytes", fragment) {
      try parse(entry(#""dtype":"\#(type)","shape":\#(shape),"data_offsets":[0,\#(bytes)]"#, data: bytes))
    }
  }

  @Test(arguments: [
    (ElementType.f4, "[2,3]", 3), (.f6e2m3, "[4]", 3), (.f6e3m2, "[8]", 6), (.f8e8m0, "[5]", 5), (.c64, "[1]", 8),
  ])
  func narrowTypes(type: ElementType, shape: String, bytes: Int) throws {
    let header = try parse(entry(#""dtype":"\#(type)","shape":\#(shape),"data_offsets":[0,\#(bytes)]"#, data: bytes))
    #expect(header.tensors[0].byteCount == bytes)
  }

  @Test(arguments: [
    "[4611686018427387904,4]", "[4611686018427387904]", "[3037000500,3037000500]", "[0,9223372036854775807,2]",
  ])
  func overflow(shape: String) throws {
    let image = entry(#""dtype":"F64","shape":\#(shape),"data_offsets":[0,0]"#)
    // A product with a zero in front overflows nowhere.
    if shape.hasPrefix("[0") { try parse(image) } else { expectFaults([.shapeOverflow]) { try parse(image) } }
  }

  @Test func layout() {
    func header(_ ranges: (Int, Int)...) -> String {
      let entries = ranges.enumerated().map { index, range in
        #""\#(index)":{"dtype":"U8","shape":[\#(range.1 - range.0)],"data_offsets":[\#(range.0),\#(range.1)]}"#
      }
      return "{\(entries.joined(separator: ","))}"
    }
    #expect(throws: Never.self) { try parse(safetensors(header((4, 8), (0, 4), (8, 8), (4, 4)), data: 8)) }
    expectFaults([.invalidOffset], "a hole of 2 bytes", "expected begin at 0") {
      try parse(safetensors(header((2, 4)), data: 4))
    }
    expectFaults([.invalidOffset], "a hole of 1 bytes", "1: ") {
      try parse(safetensors(header((0, 4), (5, 8)), data: 8))
    }
    expectFaults([.invalidOffset], "overlap those of \"0\"") { try parse(safetensors(header((0, 4), (3, 8)), data: 8)) }
    expectFaults([.invalidOffset], "overlap") { try parse(safetensors(header((0, 8), (4, 4)), data: 8)) }
    expectFaults([.invalidOffset], "2 bytes after the last tensor") { try parse(safetensors(header((0, 4)), data: 6)) }
    expectFaults([.invalidOffset], "1 of 2 tensors are cut off") {
      try parse(safetensors(header((0, 4), (4, 8)), data: 6))
    }
    expectFaults([.invalidOffset, .invalidOffset], "hole", "overlap") {
      try parse(safetensors(header((0, 4), (6, 8), (7, 10)), data: 10))
    }
    expectFaults([.invalidOffset], "1 bytes after the last tensor") { try parse(safetensors(header((0, 4)), data: 5)) }
    expectFaults([.invalidOffset], "3 bytes after the last tensor") { try parse(safetensors("{}", data: 3)) }
    // Beyond every file: an end near the greatest `Int` must not overflow on its way to an offset.
    expectFaults([.invalidOffset, .invalidOffset], "hole", "cut off") {
      try parse(entry(#""dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807]"#) + [0])
    }
  }

  @Test func allFaultsOfAHeaderAreListed() {
    let image = safetensors(
      """
      {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"X","shape":[1],"data_offsets":[4,5]},\
      "c":{"dtype":"BF16","shape":[3],"data_offsets":[5,9]},"d":{"shape":[-1]},\
      "":{"dtype":"U8","shape":[0],"data_offsets":[9,9]}}
      """, data: 9)
    expectFaults(
      [
        .sizeMismatch, .unknownElementType, .sizeMismatch, .malformedHeader, .malformedHeader, .malformedHeader,
        .invalidName,
      ],
      "a: the size", "expected 8 bytes (F32 [2]), found 4", "b: unknown dtype", "c: the size", "d: no dtype",
      "d: no data_offsets", "a tensor without a name"
    ) { try parse(image) }
  }

  @Test func names() throws {
    func named(_ name: String) -> [UInt8] {
      safetensors(#"{"\#(name)":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#)
    }
    #expect(try parse(named("h\\u00e4\\ud83d\\ude00/\\\"")).tensors[0].name == "hä😀/\"")
    #expect(try parse(named(String(repeating: "n", count: 1024))).tensors.count == 1)
    expectFaults([.invalidName], "at most 1024 bytes, found 1025") {
      try parse(named(String(repeating: "n", count: 1025)))
    }
    expectFaults([.malformedJSON], "the limit is 4096") { try parse(named(String(repeating: "n", count: 4097))) }
    expectFaults([.invalidName], "control character") { try parse(named("a\\nb")) }
    expectFaults([.invalidName], "control character") { try parse(named("a\\u007f")) }
    expectFaults([.malformedJSON], "NUL") { try parse(named("a\\u0000")) }
    expectFaults([.malformedJSON], "control character 0x0") { try parse(named("a\0")) }
  }

  @Test func ranks() throws {
    func ranked(_ rank: Int) -> [UInt8] {
      entry(
        #""dtype":"U8","shape":[\#(Array(repeating: "1", count: rank).joined(separator: ","))],"data_offsets":[0,1]"#,
        data: 1)
    }
    #expect(try parse(ranked(64)).tensors[0].shape.rank == 64)
    expectFaults([.malformedHeader], "at most 64, found 65") { try parse(ranked(65)) }
  }

  @Test func dataNeedNoAlignment() throws {
    let header = try parse(entry(#""dtype":"F64","shape":[1],"data_offsets":[0,8]"#, data: 8))
    #expect(header.tensors[0].offset % 8 != 0)
  }

  @Test(
    arguments: [
      ([0x50, 0x4B, 3, 4, 0, 0, 0, 0, 0], Fault.Code.pickle, "convert it once"), ([0x80, 2, 0x7D], .pickle, "pickle"),
      (Array("GGUF\u{3}\0\0\0\0\0\0\0".utf8), .unsupported, "by a name that ends in .gguf"),
      (Array("version https://git-lfs.github.com/spec/v1\n".utf8), .lfsPointer, "git lfs pull"),
      (Array("<!DOCTYPE html>".utf8), .malformedHeader, "a web page"),
    ] as [([UInt8], Fault.Code, String)])
  func otherFormats(start: [UInt8], code: Fault.Code, fragment: String) {
    expectFaults([code], fragment) { try parse(start) }
  }
}
