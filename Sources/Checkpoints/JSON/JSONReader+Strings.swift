// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension JSONReader {
  package mutating func readString() throws(CheckpointError) -> String {
    skipWhitespace()
    guard peekByte() == 0x22 else { throw unexpected("a string") }
    let start = position + 1
    // All of the time of a large header goes by here: the position stays in a register, and one test passes most bytes.
    var here = start
    var highBits: UInt8 = 0
    while here < end {
      let byte = bytes[here]
      if byte == 0x22 || byte == 0x5C || byte < 0x20 { break }
      highBits |= byte
      here += 1
    }
    position = here
    switch peekByte() {
    case nil: throw unexpected("the end of the string")
    case 0x22?:
      position += 1
      endValue()
      let content = bytes[start..<here]
      if highBits < 0x80 { return String(decoding: content, as: UTF8.self) }
      return try validated(content, at: start)
    case 0x5C?: return try readEscapedString(from: start)
    case let byte?: throw controlCharacter(byte)
    }
  }

  /// The slow way, from the first escape on.
  private mutating func readEscapedString(from start: Int) throws(CheckpointError) -> String {
    var content = Array(bytes[start..<position])
    while let byte = peekByte() {
      position += 1
      switch byte {
      case 0x22:
        endValue()
        return try validated(content[...], at: start)
      case 0x5C:
        content.append(contentsOf: try readEscape().utf8)
      case 0..<0x20:
        position -= 1
        throw controlCharacter(byte)
      default:
        content.append(byte)
      }
    }
    throw unexpected("the end of the string")
  }

  /// The character of an escape, its backslash passed.
  private mutating func readEscape() throws(CheckpointError) -> String {
    let start = position - 1
    guard let byte = peekByte() else { throw unexpected("an escape") }
    position += 1
    switch byte {
    case 0x22: return "\""
    case 0x5C: return "\\"
    case 0x2F: return "/"
    case 0x62: return "\u{8}"
    case 0x66: return "\u{C}"
    case 0x6E: return "\n"
    case 0x72: return "\r"
    case 0x74: return "\t"
    case 0x75: break
    default:
      position -= 1
      throw unexpected("one of \" \\ / b f n r t u after a backslash")
    }
    var value = try readHexadecimal()
    if (0xD800..<0xDC00).contains(value), peekByte() == 0x5C {
      position += 1
      guard peekByte() == 0x75 else { throw unexpected("the second half of a surrogate pair") }
      position += 1
      let low = try readHexadecimal()
      guard (0xDC00..<0xE000).contains(low) else { throw fault(.invalidUTF8, "half of a surrogate pair", at: start) }
      value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(value) else { throw fault(.invalidUTF8, "half of a surrogate pair", at: start) }
    guard value != 0 else { throw fault(.malformedJSON, "a NUL character in a string", at: start) }
    return String(scalar)
  }

  private mutating func readHexadecimal() throws(CheckpointError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peekByte(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw unexpected("four hexadecimal digits after \\u")
      }
      value = value << 4 + UInt32(digit)
      position += 1
    }
    return value
  }

  /// Rejects what is no UTF-8: stray and missing continuation bytes, overlong forms, surrogates, values above 10FFFF.
  private func validated(_ content: ArraySlice<UInt8>, at start: Int) throws(CheckpointError) -> String {
    guard let text = String(validating: content, as: UTF8.self) else {
      throw fault(.invalidUTF8, "a string that is not UTF-8", at: start)
    }
    return text
  }

  private func controlCharacter(_ byte: UInt8) -> CheckpointError {
    let code = String(byte, radix: 16)
    return fault(.malformedJSON, "control character 0x\(code) in a string", at: position)
  }
}
