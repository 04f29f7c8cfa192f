// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Checkpoints
import Foundation
import MoE
import Testing

@Suite struct JSONTests {
  private func value(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8), file: "test.json") }

  @Test(
    arguments: [
      ("null", JSONValue.null), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("-12", -12),
      ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
      ("9223372036854775808", .number(9223372036854775808)), ("1.0", .number(1)), ("1e3", .number(1000)),
      ("-1.5E-2", .number(-0.015)), ("1e+2", .number(100)), ("0.1", .number(0.1)),
      ("5e-324", .number(.leastNonzeroMagnitude)),
      ("1e-400", .number(0)), ("\"\"", ""), ("\"a\\u0041\\n\\/\"", "aA\n/"), ("\"\\ud83d\\ude00\"", "😀"),
      ("\"ü\"", "ü"),
      ("[]", []), ("[1, [2], {}]", [1, [2], [:]]), ("{\"a\":1,\"b\":{\"a\":2}}", ["a": 1, "b": ["a": 2]]),
      ("\t\r\n{ \"a\" : [ ] }\n", ["a": []]),
    ] as [(String, JSONValue)])
  func accepts(text: String, expected: JSONValue) throws { #expect(try value(text) == expected) }

  @Test(arguments: [
    "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "00", "1.", ".5", "1.e2",
    "1e",
    "1e+", "0x10", "1 2", "1e999", "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\t\"", "\"\u{1F}\"",
    "\"\\u0000\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}",
    "{,}", "{\"a\" 1}", "{a:1}", "{1:1}", "{\"a\":1 \"b\":2}", "[1}", "{\"a\":1]", "// c\n1", "'a'", "\u{FEFF}1", "1\0",
  ])
  func rejects(text: String) { expectFaults([.malformedJSON], "test.json: ") { _ = try value(text) } }

  @Test(arguments: [
    "{\"a\":1,\"a\":1}", "{\"a\":{\"b\":1,\"b\":2}}", "[[{\"k\":0,\"\\u006b\":0}]]", "{\"\u{E9}\":0,\"e\u{301}\":1}",
  ])
  func duplicateKeys(text: String) { expectFaults([.duplicateKey], "stands twice") { _ = try value(text) } }

  @Test(
    arguments: [
      [0xFF], [0x80], [0xC3], [0xC3, 0x28], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80],
      [0xED, 0xBF, 0xBF],
      [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82],
    ] as [[UInt8]])
  func invalidUTF8(bytes: [UInt8]) {
    expectFaults([.invalidUTF8]) { _ = try JSONValue(parsing: [0x22] + bytes + [0x22]) }
    // After an escape another path reads it.
    expectFaults([.invalidUTF8]) { _ = try JSONValue(parsing: Array("\"\\n".utf8) + bytes + [0x22]) }
  }

  @Test(arguments: ["\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "\"\\udfff\\ud800\""])
  func loneSurrogates(text: String) { expectFaults([.invalidUTF8], "surrogate") { _ = try value(text) } }

  @Test func depth() throws {
    func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    #expect(throws: Never.self) { try value(nested(64)) }
    expectFaults([.malformedJSON], "more than 64 levels") { _ = try value(nested(65)) }
    expectFaults([.malformedJSON], "more than 64 levels") {
      _ = try value(String(repeating: "{\"a\":", count: 1_000_000))
    }
  }

  @Test func faultsSayWhere() {
    expectFaults([.malformedJSON], "test.json: line 3, column 7: no valid JSON: expected a comma or }, found '\"'") {
      _ = try value("{\n  \"a\": 1\n      \"b\": 2\n}")
    }
    expectFaults([.malformedJSON], "test.json: byte 1: ", "found the end of the text") { _ = try value("[") }
  }

  @Test func nonFiniteNumbers() throws {
    let text = Array(#"{"limit": [0.0, Infinity, -Infinity, NaN]}"#.utf8)
    let value = try JSONValue(parsing: text, nonFiniteNumbers: .accepted)
    #expect(value["limit"]?[1] == .number(.infinity))
    #expect(value["limit"]?[2] == .number(-.infinity))
    #expect(value["limit"]?[3]?.number?.isNaN == true)
    #expect(value.serialized() == #"{"limit":[0.0,null,null,null]}"#)
    for wrong in ["Inf", "-NaN", "nan", "Infinityx"] {
      expectFaults([.malformedJSON]) { _ = try JSONValue(parsing: Array(wrong.utf8), nonFiniteNumbers: .accepted) }
    }
  }

  @Test func accessors() throws {
    let value: JSONValue = ["i": 3, "f": 2.0, "s": "x", "b": true, "n": nil, "a": [1, 2]]
    #expect(value["i"]?.integer == 3)
    #expect(value["i"]?.number == 3)
    #expect(value["f"]?.integer == nil)
    #expect(value["f"]?.number == 2)
    #expect(value["s"]?.string == "x")
    #expect(value["b"]?.bool == true)
    #expect(value["n"]?.isNull == true)
    #expect(value["a"]?[1] == 2)
    #expect(value["a"]?[2] == nil)
    #expect(value["a"]?["x"] == nil)
    #expect(value["zzz"] == nil)
    #expect(value.kind == "an object")
  }

  @Test func serialization() throws {
    let value: JSONValue = ["b": [1, 2.5, []], "a": "\"\\\u{1}\u{7F}\n/ü", "c": [:], "d": [nil, false]]
    #expect(
      value.serialized() == #"{"a":"\"\\\u0001\u007f\n/ü","b":[1,2.5,[]],"c":{},"d":[null,false]}"#)
    #expect(
      value.serialized(pretty: true) == """
        {
          "a": "\\"\\\\\\u0001\\u007f\\n/ü",
          "b": [
            1,
            2.5,
            []
          ],
          "c": {},
          "d": [
            null,
            false
          ]
        }
        """)
  }

  /// Random documents come back, and Foundation reads what we write as the same document.
  @Test(arguments: 0..<200)
  func roundTrip(seed: Int) throws {
    var generator = SplitMix64(seed: UInt64(seed))
    let value: JSONValue = ["root": randomValue(depth: 0, using: &generator)]
    for pretty in [false, true] {
      let text = Array(value.serialized(pretty: pretty).utf8)
      #expect(try JSONValue(parsing: text) == value)
      let theirs = try JSONSerialization.jsonObject(with: Data(text))
      let back = try JSONSerialization.data(withJSONObject: theirs)
      #expect(try JSONValue(parsing: [UInt8](back)).normalized == value.normalized)
    }
  }

  private func randomValue(depth: Int, using generator: inout SplitMix64) -> JSONValue {
    func count() -> Int { Int.random(in: 0...4, using: &generator) }
    switch Int.random(in: 0...(depth < 4 ? 7 : 5), using: &generator) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &generator))
    case 2: return .integer(Int.random(in: -1000...1000, using: &generator))
    case 3: return .integer(Int.random(in: Int.min...Int.max, using: &generator))
    case 4: return .number(Double.random(in: -1e6...1e6, using: &generator))
    case 5: return .string(randomText(using: &generator))
    case 6: return .array((0..<count()).map { _ in randomValue(depth: depth + 1, using: &generator) })
    default:
      let members = (0..<count()).map { _ in
        (randomText(using: &generator), randomValue(depth: depth + 1, using: &generator))
      }
      return .object(Dictionary(members) { first, _ in first })
    }
  }

  private func randomText(using generator: inout SplitMix64) -> String {
    let characters: [Character] = ["a", "Z", "\"", "\\", "/", "\n", "\u{1}", "\u{7F}", "é", "漢", "😀", " ", "{", "0"]
    return String(
      (0..<Int.random(in: 0...6, using: &generator)).map { _ in characters.randomElement(using: &generator)! })
  }
}

extension JSONValue {
  /// Foundation writes 2.0 as 2 and cannot tell them apart.
  fileprivate var normalized: JSONValue {
    switch self {
    case .integer(let value): .number(Double(value))
    case .array(let elements): .array(elements.map(\.normalized))
    case .object(let members): .object(members.mapValues(\.normalized))
    default: self
    }
  }
}
