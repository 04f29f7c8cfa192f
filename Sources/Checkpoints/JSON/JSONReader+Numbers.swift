// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

/// A number as it is written.
package enum JSONNumber {
  case integer(Int)
  /// With fraction or exponent, or beyond the range of `Int`.
  case number(Double)
}

extension JSONReader {
  package mutating func readNumber() throws(CheckpointError) -> JSONNumber {
    skipWhitespace()
    let start = position
    let isNegative = peekByte() == 0x2D
    if isNegative { position += 1 }
    if acceptsNonFiniteNumbers, let value = try readNonFinite(isNegative: isNegative) { return .number(value) }

    // Accumulated as a negative number, whose range is the greater one.
    var value = 0
    var isExact = true
    let firstDigit = position
    var here = firstDigit
    while here < end, case let byte = bytes[here], byte >= 0x30, byte <= 0x39 {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow2) = product.subtractingReportingOverflow(Int(byte - 0x30))
      if overflow || overflow2 { isExact = false }
      value = sum
      here += 1
    }
    position = here
    guard position > firstDigit else { throw unexpected("a digit") }
    if bytes[firstDigit] == 0x30 && position > firstDigit + 1 {
      throw fault(.malformedJSON, "a number with a leading zero", at: start)
    }
    if peekByte() == 0x2E {
      isExact = false
      position += 1
      try readDigits()
    }
    if peekByte() == 0x65 || peekByte() == 0x45 {
      isExact = false
      position += 1
      if peekByte() == 0x2B || peekByte() == 0x2D { position += 1 }
      try readDigits()
    }
    endValue()
    if isExact {
      if isNegative { return .integer(value) }
      let (positive, overflow) = (0).subtractingReportingOverflow(value)
      if !overflow { return .integer(positive) }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let number = Double(text), number.isFinite else {
      throw fault(.malformedJSON, "a number beyond the range of 64-bit floats", at: start)
    }
    return .number(number)
  }

  private mutating func readDigits() throws(CheckpointError) {
    let start = position
    while let byte = peekByte(), case 0x30...0x39 = byte { position += 1 }
    if position == start { throw unexpected("a digit") }
  }

  private mutating func readNonFinite(isNegative: Bool) throws(CheckpointError) -> Double? {
    switch peekByte() {
    case 0x49:
      try readWord("Infinity")
      return isNegative ? -.infinity : .infinity
    case 0x4E where !isNegative:
      try readWord("NaN")
      return .nan
    default:
      return nil
    }
  }
}
