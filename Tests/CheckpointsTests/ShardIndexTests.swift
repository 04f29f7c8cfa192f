// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Tensors
import Testing

@Suite struct ShardIndexTests {
  private func parse(_ text: String) throws -> ShardIndex {
    try ShardIndex(parsing: Array(text.utf8), file: "index.json")
  }

  @Test func parses() throws {
    let index = try parse(
      #"{"metadata":{"total_size":12.0},"weight_map":{"b":"2.safetensors","a":"1.safetensors"},"x":[{}]}"#)
    #expect(index.files == ["1.safetensors", "2.safetensors"])
    #expect(index.entries.map(\.tensor) == ["a", "b"])
    #expect(index.entries.map(\.file) == [0, 1])
    #expect(index.totalSize == 12)
  }

  @Test(arguments: [
    ("[]", [Fault.Code.malformedIndex]), ("{}", [.malformedIndex]), (#"{"weight_map":[]}"#, [.malformedIndex]),
    (#"{"weight_map":{}}"#, [.malformedIndex]),
    (#"{"weight_map":{"a":1,"b":null,"c":"f"}}"#, [.malformedIndex, .malformedIndex]),
    (#"{"weight_map":{"a":"f","a":"f"}}"#, [.duplicateKey]),
    (#"{"weight_map":{"a":"f","\u0061":"g"}}"#, [.duplicateKey]),
    (#"{"weight_map":{"a":"f"},"weight_map":{"a":"f"}}"#, [.duplicateKey]),
    (#"{"metadata":{"k":1,"k":2},"weight_map":{"a":"f"}}"#, [.duplicateKey]),
    (#"{"weight_map":{"":"f"}}"#, [.invalidName]),
    ("", [.malformedJSON]), (#"{"weight_map":{"a":"f"}} x"#, [.malformedJSON]),
  ])
  func rejects(text: String, codes: [Fault.Code]) { expectFaults(codes, "index.json: ") { _ = try parse(text) } }

  @Test(arguments: [
    "../x.safetensors", "/etc/passwd", "a/../../x.safetensors", "..", ".", "", "a//b", "a/./b", "./x", "a/..",
    "x\\\\..\\\\y",
    "x\\n.safetensors", "x/",
  ])
  func escapes(name: String) {
    expectFaults([.escapesFolder], "is not in the folder of the index") {
      _ = try parse(#"{"weight_map":{"a":"\#(name)"}}"#)
    }
  }

  @Test(arguments: ["x", "..x", "x..", "a/b.safetensors", "...", ".hidden"])
  func namesThatStay(name: String) throws {
    #expect(try parse(#"{"weight_map":{"a":"\#(name)"}}"#).files == [name])
  }

  /// `total_size` is advice: nonsense there refuses nothing.
  @Test(arguments: ["\"12\"", "null", "1.5", "[]", "-1e300"])
  func totalSizeOfAnotherKind(text: String) throws {
    #expect(try parse(#"{"metadata":{"total_size":\#(text)},"weight_map":{"a":"f"}}"#).totalSize == nil)
  }
}
