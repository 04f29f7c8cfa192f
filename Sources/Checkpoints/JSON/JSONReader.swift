// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A strict pull reader of JSON: the caller asks for what it expects, and nothing is built that it does not ask for.
///
/// ```swift
/// try reader.beginObject()
/// while let key = try reader.nextKey() {
///   switch key {
///   case "name": name = try reader.readString()
///   default: try reader.skipValue()
///   }
/// }
/// try reader.finish()
/// ```
///
/// Duplicate keys are the caller's business in objects that it pulls apart itself; `readValue` and `skipValue` reject
/// them. The text stays in an array, whose bounds are checked: no input can read past it.
package struct JSONReader {
  /// What stands next.
  package enum Kind: String {
    case object = "an object"
    case array = "an array"
    case string = "a string"
    case number = "a number"
    case bool = "a boolean"
    case null = "null"
  }

  package static let depthLimit = 64
  package static let keyLengthLimit = 4096

  let bytes: [UInt8]
  let file: String
  let acceptsNonFiniteNumbers: Bool
  var position: Int
  let end: Int
  private var depth = 0
  /// Whether a value precedes in this container, so that a comma has to stand before the next one.
  private var hasPredecessor = false

  /// Reads `bytes[range]`, or all of it.
  package init(
    _ bytes: [UInt8], range: Range<Int>? = nil, file: String, acceptsNonFiniteNumbers: Bool = false
  ) {
    self.bytes = bytes
    self.file = file
    self.acceptsNonFiniteNumbers = acceptsNonFiniteNumbers
    position = range?.lowerBound ?? 0
    end = range?.upperBound ?? bytes.count
    precondition(0 <= position && position <= end && end <= bytes.count, "range outside the text")
  }

  // MARK: Structure

  package mutating func beginObject() throws(CheckpointError) { try open(0x7B, "an object") }

  package mutating func beginArray() throws(CheckpointError) { try open(0x5B, "an array") }

  /// The next key of the current object, its colon passed; nil when the object ended.
  package mutating func nextKey() throws(CheckpointError) -> String? {
    guard try advance(to: 0x7D) else { return nil }
    guard peekByte() == 0x22 else { throw unexpected("a key in double quotes") }
    let start = position
    let key = try readString()
    if key.utf8.count > Self.keyLengthLimit {
      throw fault(.malformedJSON, "a key of \(key.utf8.count) bytes; the limit is \(Self.keyLengthLimit)", at: start)
    }
    skipWhitespace()
    guard peekByte() == 0x3A else { throw unexpected("a colon after the key") }
    position += 1
    hasPredecessor = false
    return key
  }

  /// Whether the current array has one more element; false when it ended.
  package mutating func nextElement() throws(CheckpointError) -> Bool {
    guard try advance(to: 0x5D) else { return false }
    hasPredecessor = false
    return true
  }

  /// Demands that nothing but white space follows.
  package mutating func finish() throws(CheckpointError) {
    skipWhitespace()
    if position < end { throw unexpected("the end of the text") }
  }

  /// The kind of the next value.
  package mutating func peekKind() throws(CheckpointError) -> Kind {
    skipWhitespace()
    guard let byte = peekByte() else { throw unexpected("a value") }
    switch byte {
    case 0x7B: return .object
    case 0x5B: return .array
    case 0x22: return .string
    case 0x2D, 0x30...0x39, 0x4E, 0x49: return .number  // - 0…9, and N and I of NaN and Infinity
    case 0x74, 0x66: return .bool
    case 0x6E: return .null
    default: throw unexpected("a value")
    }
  }

  private mutating func open(_ bracket: UInt8, _ what: String) throws(CheckpointError) {
    skipWhitespace()
    guard peekByte() == bracket else { throw unexpected(what) }
    guard depth < Self.depthLimit else {
      throw fault(.malformedJSON, "more than \(Self.depthLimit) levels of arrays and objects", at: position)
    }
    depth += 1
    position += 1
    hasPredecessor = false
  }

  /// Passes the comma before the next member; false, with the bracket passed, at the end of the container.
  private mutating func advance(to bracket: UInt8) throws(CheckpointError) -> Bool {
    skipWhitespace()
    if peekByte() == bracket {
      position += 1
      depth -= 1
      hasPredecessor = true
      return false
    }
    if hasPredecessor {
      guard peekByte() == 0x2C else { throw unexpected(bracket == 0x7D ? "a comma or }" : "a comma or ]") }
      position += 1
      skipWhitespace()
      if peekByte() == bracket { throw unexpected("a value after the comma") }
    }
    return true
  }

  // MARK: Scalars

  package mutating func readBool() throws(CheckpointError) -> Bool {
    skipWhitespace()
    let value = peekByte() == 0x74
    try readWord(value ? "true" : "false")
    return value
  }

  package mutating func readNull() throws(CheckpointError) {
    skipWhitespace()
    try readWord("null")
  }

  mutating func readWord(_ word: String) throws(CheckpointError) {
    let start = position
    for byte in word.utf8 {
      guard peekByte() == byte else {
        position = start
        throw unexpected(word)
      }
      position += 1
    }
    endValue()
  }

  // MARK: Bytes

  /// The byte at the position; nil at the end.
  @inline(__always)
  func peekByte() -> UInt8? { position < end ? bytes[position] : nil }

  @inline(__always)
  mutating func skipWhitespace() {
    while position < end {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  mutating func endValue() { hasPredecessor = true }
}

extension JSONReader {
  /// An error that says where in the text it is.
  func fault(_ code: Fault.Code, _ message: String, at offset: Int) -> CheckpointError {
    CheckpointError(Fault(code, message, file: file, subject: place(of: offset)))
  }

  /// An error about what stands at the position.
  func unexpected(_ expected: String) -> CheckpointError {
    let found: String =
      switch peekByte() {
      case nil: "the end of the text"
      case let byte? where (0x21...0x7E).contains(byte): "'\(Character(Unicode.Scalar(byte)))'"
      case let byte?: "byte 0x\(String(byte, radix: 16))"
      }
    return CheckpointError(
      Fault(.malformedJSON, "no valid JSON", file: file, subject: place(of: position), expected: expected, found: found)
    )
  }

  private func place(of offset: Int) -> String {
    let before = bytes[..<min(offset, bytes.count)]
    let line = before.count { $0 == 0x0A } + 1
    guard line > 1 else { return "byte \(offset)" }
    return "line \(line), column \(offset - before.lastIndex(of: 0x0A)!)"
  }
}
