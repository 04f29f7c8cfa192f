// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension JSONReader {
  /// Builds the next value.
  package mutating func readValue() throws(CheckpointError) -> JSONValue {
    switch try peekKind() {
    case .null:
      try readNull()
      return .null
    case .bool: return .bool(try readBool())
    case .string: return .string(try readString())
    case .number:
      switch try readNumber() {
      case .integer(let value): return .integer(value)
      case .number(let value): return .number(value)
      }
    case .array:
      var elements: [JSONValue] = []
      try beginArray()
      while try nextElement() { elements.append(try readValue()) }
      return .array(elements)
    case .object:
      var members: [String: JSONValue] = [:]
      try beginObject()
      while let key = try nextKey() {
        if members.updateValue(try readValue(), forKey: key) != nil { throw duplicate(key) }
      }
      return .object(members)
    }
  }

  /// Passes the next value, as strictly as `readValue`, without building it.
  package mutating func skipValue() throws(CheckpointError) {
    switch try peekKind() {
    case .null: try readNull()
    case .bool: _ = try readBool()
    case .string: _ = try readString()
    case .number: _ = try readNumber()
    case .array:
      try beginArray()
      while try nextElement() { try skipValue() }
    case .object:
      var keys: Set<String> = []
      try beginObject()
      while let key = try nextKey() {
        guard keys.insert(key).inserted else { throw duplicate(key) }
        try skipValue()
      }
    }
  }

  func duplicate(_ key: String) -> CheckpointError {
    fault(.duplicateKey, "key \(quoted(key)) stands twice", at: position)
  }
}

/// `text` for a message: quoted, its control characters escaped, and cut when it is long.
func quoted(_ text: String) -> String {
  let limit = 200
  let shown = text.unicodeScalars.count > limit ? String(text.unicodeScalars.prefix(limit)) + "…" : text
  return JSONValue.string(shown).serialized()
}
