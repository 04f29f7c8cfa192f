// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Tensors
import TestSupport
import Testing

/// The tests of the reference implementation (huggingface/safetensors, `safetensors/src/tensor.rs` and `attacks/`),
/// written anew. Where ours is stricter, it says so.
@Suite struct SafetensorsReferenceTests {
  private let test = #"{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}"#

  @Test func deserialization() throws {
    let header = try parse(safetensors(test, data: 16))
    #expect(header.tensors.map(\.name) == ["test"])
    #expect(header.tensors[0].elementType == .i32)
    #expect(header.tensors[0].shape == [2, 2])
    #expect(header.tensors[0].offset == 68)
    #expect(header.tensors[0].byteCount == 16)
  }

  @Test func emptyFile() throws {
    #expect(try parse(safetensors("{}      ")).tensors.isEmpty)
    #expect(try parse(safetensors(#"{"__metadata__":{"framework":"pt"}}     "#)).metadata == ["framework": "pt"])
  }

  /// Ten tensors that share their data. The reference names one of them, we name nine.
  @Test func jsonAttack() {
    let entries = (0..<10).map { #""weight_\#($0)":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}"# }
    expectFaults(Array(repeating: .invalidOffset, count: 9), "overlap", "weight_9") {
      try parse(safetensors("{\(entries.joined(separator: ","))}", data: 16))
    }
  }

  @Test func incompleteBuffer() {
    let image = safetensors(test, data: 16)
    expectFaults([.invalidOffset], "34 bytes after the last tensor") {
      try parse(image + Array("extra_bogus_data_for_polyglot_file".utf8))
    }
    expectFaults([.invalidOffset], "the file ends before its data", "expected 16 bytes of data, found 14") {
      try parse(image.dropLast(2))
    }
  }

  @Test func headerTooLarge() {
    var image = safetensors(test, data: 16)
    image.replaceSubrange(5..<8, with: [0xFF, 0xFF, 0xFF])
    expectFaults([.malformedHeader], "at most 100000000 bytes") { try parse(image) }
    // One more than the limit, in a file that would be large enough.
    let length = safetensors(Array(repeating: 0x20, count: 0))
    var start = length
    start.replaceSubrange(0..<8, with: [0x01, 0xE1, 0xF5, 0x05, 0, 0, 0, 0])
    expectFaults([.malformedHeader], "found 100000001") {
      _ = try SafetensorsHeader(parsing: start, fileSize: 1 << 40)
    }
  }

  @Test(arguments: 0..<8)
  func headerTooSmall(count: Int) {
    expectFaults([.malformedHeader], "at least 8 bytes, found \(count)") {
      try parse(Array(repeating: 0, count: count))
    }
  }

  @Test func invalidHeaderLength() {
    expectFaults([.malformedHeader], "longer than the file", "expected at least 68 bytes, found 8") {
      try parse(Array(safetensors(test).prefix(8)))
    }
  }

  @Test func nonUTF8Header() {
    expectFaults([.malformedHeader], "{ as its first byte") { try parse(safetensors([0xFF])) }
    expectFaults([.invalidUTF8]) { try parse(safetensors(Array("{\"".utf8) + [0xFF] + Array("\":0}".utf8))) }
  }

  @Test func notJSONHeader() { expectFaults([.malformedJSON]) { try parse(safetensors("{")) } }

  @Test func zeroSized() throws {
    let header = try parse(safetensors(#"{"test":{"dtype":"I32","shape":[2,0],"data_offsets":[0, 0]}}"#))
    #expect(header.tensors[0].shape == [2, 0])
    #expect(header.tensors[0].byteCount == 0)
  }

  @Test func emptyShapesAllowed() throws {
    let header = try parse(safetensors(#"{"test":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}"#, data: 4))
    #expect(header.tensors[0].shape == [])
    #expect(header.tensors[0].byteCount == 4)
  }

  @Test func invalidInfo() {
    expectFaults([.sizeMismatch, .invalidOffset], "expected 16 bytes (I32 [2, 2]), found 4") {
      try parse(safetensors(#"{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0, 4]}}"#))
    }
  }

  /// 2^64 − 1 is no `Int`; 2 (2^63 − 1) overflows.
  @Test(arguments: ["18446744073709551615", "18446744073709551614", "9223372036854775807"])
  func validationOverflow(extent: String) {
    expectFaults([.shapeOverflow, .invalidOffset], "test.safetensors: test:") {
      try parse(safetensors(#"{"test":{"dtype":"I32","shape":[2,\#(extent)],"data_offsets":[0, 16]}}"#))
    }
  }

  @Test func whitespacePaddedHeader() throws {
    let json = #"{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}"#
    for padding in [" ", "    ", "\n\t\r "] {
      #expect(try parse(safetensors(json + padding, data: 16)).tensors.count == 1)
    }
    // The reference accepts white space in front; the specification demands `{`, and so do we.
    expectFaults([.malformedHeader], "{ as its first byte, found 0x20") { try parse(safetensors(" " + json, data: 16)) }
    expectFaults([.malformedJSON], "the end of the text") { try parse(safetensors(json + "x", data: 16)) }
    expectFaults([.malformedJSON], "found byte 0x0") { try parse(safetensors(json + "\0", data: 16)) }
  }

  /// `proptest!`: 20 random sets of up to 20 tensors of up to 8 dimensions, written, read and compared.
  @Test(arguments: 0..<20)
  func roundTrip(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    let folder = try TemporaryFolder()
    var tensors: [(TensorDeclaration, bytes: [UInt8])] = []
    while tensors.count < Int.random(in: 1...20, using: &generator) {
      let type = ElementType.allCases.randomElement(using: &generator)!
      let rank = Int.random(in: 0...8, using: &generator)
      let shape = Shape((0..<rank).map { _ in Int.random(in: 0...4, using: &generator) })
      guard let byteCount = shape.elementCount.flatMap(type.byteCount) else { continue }  // 4- and 6-bit types
      let bytes = (0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
      tensors.append((TensorDeclaration("t.\(tensors.count)", type, shape), bytes: bytes))
    }
    let metadata = seed.isMultiple(of: 2) ? ["format": "pt", "note": "\"ü\"\n"] : [:]
    try SafetensorsFile.write(tensors: tensors, to: folder["a.safetensors"], metadata: metadata)

    let catalog = try TensorCatalog(opening: folder["a.safetensors"])
    #expect(catalog.metadata == [metadata])
    #expect(catalog.records.map(\.name) == tensors.map(\.0.name).sorted())
    for (tensor, bytes) in tensors {
      let record = try #require(catalog[tensor.name])
      #expect(record.elementType == tensor.elementType)
      #expect(record.shape == tensor.shape)
      #expect(try catalog.bytes(of: record) == bytes)
      #expect(record.offset % max(1, tensor.elementType.bitWidth / 8) == 0)
    }
    #expect(catalog.warnings.isEmpty)
  }

  /// `safetensors_abuse_attempt_1.py`: the length is overwritten in place with one beyond the file.
  @Test func abuseAttempt1() throws {
    let folder = try TemporaryFolder()
    try SafetensorsFile.write(
      tensors: [(TensorDeclaration("weight", .f32, [2, 2]), bytes: Array(repeating: 0, count: 16))],
      to: folder["a.safetensors"])
    var image = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder["a.safetensors"])))
    image.replaceSubrange(0..<8, with: [0xE8, 0x03, 0, 0, 0, 0, 0, 0])
    try folder.write(image, "a.safetensors")
    expectFaults([.malformedHeader], "longer than the file", "1008") {
      _ = try SafetensorsFile(opening: folder["a.safetensors"])
    }
  }

  /// `safetensors_abuse_attempt_2.py`: ten million tensors on the same 16 bytes, 800 MB of header. Refused by its
  /// length, before memory is taken for it.
  @Test func abuseAttempt2() throws {
    let folder = try TemporaryFolder()
    try folder.write([0x00, 0x08, 0xAF, 0x2F, 0, 0, 0, 0], "a.safetensors")
    let handle = try #require(FileHandle(forWritingAtPath: folder["a.safetensors"]))
    try handle.truncate(atOffset: 2 * 800_000_000)
    try handle.close()
    expectFaults([.malformedHeader], "at most 100000000 bytes, found 800000000") {
      _ = try SafetensorsFile(opening: folder["a.safetensors"])
    }
  }

  /// `safetensors_abuse_attempt_3.py`: 100,000 tensors that share 160,000 bytes, so that 5 MB become 16 GB.
  @Test func abuseAttempt3() {
    let entries = (0..<100_000).map {
      #""weight_\#($0)": {"dtype": "F32", "shape": [200, 200], "data_offsets": [0, 160000]}"#
    }
    let image = safetensors("{\(entries.joined(separator: ", "))}", data: 160_000)
    let error = #expect(throws: CheckpointError.self) { try parse(image) }
    #expect(error?.faults.allSatisfy { $0.code == .invalidOffset } == true)
    #expect(error?.description.hasSuffix("and 98999 more faults") == true)
  }
}
