// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the swift-moe project authors

import Tensors

extension SafetensorsHeaderParser {
  mutating func parseMetadata() throws(CheckpointError) {
    if metadata != nil { add(.duplicateKey, "__metadata__ stands twice") }
    var texts: [String: String] = [:]
    if try expect(.object, subject: "__metadata__", "the metadata are not an object") {
      try reader.beginObject()
      while let key = try reader.nextKey() {
        guard try expect(.string, subject: "__metadata__", "the value of \(quoted(key)) is not a string") else {
          continue
        }
        if texts.updateValue(try reader.readString(), forKey: key) != nil {
          add(.duplicateKey, "key \(quoted(key)) stands twice", subject: "__metadata__")
        }
      }
    }
    metadata = texts
  }

  mutating func parseEntry(named name: String) throws(CheckpointError) {
    var entry = Entry(name: name)
    if let fault = Self.faultInName(name) { faults.append(fault(file)) }
    guard try expect(.object, subject: name, "the entry of a tensor is not an object") else {
      return entries.append(entry)  // Its place is unknown: no hole is to be blamed on the others.
    }
    var hasType = false
    var hasShape = false
    var hasOffsets = false
    try reader.beginObject()
    while let key = try reader.nextKey() {
      switch key {
      case "dtype":
        if hasType { addDuplicate(key, in: name) }
        hasType = true
        entry.elementType = try parseElementType(of: name)
      case "shape":
        if hasShape { addDuplicate(key, in: name) }
        hasShape = true
        entry.shape = try parseShape(of: name)
      case "data_offsets":
        if hasOffsets { addDuplicate(key, in: name) }
        hasOffsets = true
        try parseOffsets(of: &entry)
      default:
        add(
          .malformedHeader, "unknown key \(quoted(key))", subject: name, expected: "dtype, shape and data_offsets only")
        try reader.skipValue()
      }
    }
    if !hasType { add(.malformedHeader, "no dtype", subject: name) }
    if !hasShape { add(.malformedHeader, "no shape", subject: name) }
    if !hasOffsets { add(.malformedHeader, "no data_offsets", subject: name) }
    entries.append(entry)
  }

  private mutating func parseElementType(of name: String) throws(CheckpointError) -> ElementType? {
    guard try expect(.string, subject: name, "the dtype is not a string") else { return nil }
    let text = try reader.readString()
    if text == lastType.0 { return lastType.1 }
    guard let type = ElementType(rawValue: text) else {
      add(
        .unknownElementType, "unknown dtype", subject: name,
        expected: "one of \(ElementType.allCases.map(\.rawValue).joined(separator: " "))", found: quoted(text))
      return nil
    }
    lastType = (text, type)
    return type
  }

  private mutating func parseShape(of name: String) throws(CheckpointError) -> Shape? {
    guard try expect(.array, subject: name, "the shape is not an array") else { return nil }
    var dimensions: [Int] = []
    var isValid = true
    var rank = 0
    try reader.beginArray()
    while try reader.nextElement() {
      let extent = try parseCount(of: name, "a dimension", overflow: .shapeOverflow)
      rank += 1
      if let extent, rank <= SafetensorsHeader.rankLimit { dimensions.append(extent) } else { isValid = false }
    }
    if rank > SafetensorsHeader.rankLimit {
      add(
        .malformedHeader, "too many dimensions", subject: name, expected: "at most \(SafetensorsHeader.rankLimit)",
        found: "\(rank)")
    }
    return isValid ? Shape(dimensions) : nil
  }

  private mutating func parseOffsets(of entry: inout Entry) throws(CheckpointError) {
    entry.hasOffsets = false
    guard try expect(.array, subject: entry.name, "data_offsets is not an array") else { return }
    var isValid = true
    var count = 0
    try reader.beginArray()
    while try reader.nextElement() {
      let offset = try parseCount(of: entry.name, "an offset", overflow: .invalidOffset)
      count += 1
      switch (count, offset) {
      case (1, let offset?): entry.begin = offset
      case (2, let offset?): entry.end = offset
      default: isValid = false
      }
    }
    if count != 2 {
      add(
        .invalidOffset, "data_offsets is not a begin and an end", subject: entry.name, expected: "2 numbers",
        found: "\(count)")
    } else if isValid && entry.begin > entry.end {
      add(
        .invalidOffset, "the data end before they begin", subject: entry.name, found: "[\(entry.begin), \(entry.end)]")
    } else {
      entry.hasOffsets = isValid
    }
  }

  /// A whole number from 0 to the greatest `Int`, or nil and a fault.
  private mutating func parseCount(
    of name: String, _ what: String, overflow: Fault.Code
  ) throws(CheckpointError) -> Int? {
    guard try expect(.number, subject: name, "\(what) is not a number") else { return nil }
    let start = reader.position
    let number = try reader.readNumber()
    if case .integer(let value) = number, value >= 0 { return value }
    let text = String(decoding: reader.bytes[start..<reader.position].prefix(40), as: UTF8.self)
    let isHuge = text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    add(
      isHuge || overflow != .shapeOverflow ? overflow : .malformedHeader, "\(what) is not a whole number in range",
      subject: name, expected: "0 to \(Int.max)", found: text)
    return nil
  }

  /// Whether a value of `kind` is next; else notes a fault and passes what is there.
  private mutating func expect(
    _ kind: JSONReader.Kind, subject: String, _ message: @autoclosure () -> String
  ) throws(CheckpointError) -> Bool {
    let found = try reader.peekKind()
    if found == kind { return true }
    add(.malformedHeader, message(), subject: subject, expected: kind.rawValue, found: found.rawValue)
    try reader.skipValue()
    return false
  }

  /// What is wrong with a name, as a fault to be given its file.
  static func faultInName(_ name: String) -> ((String) -> Fault)? {
    let length = name.utf8.count
    if length == 0 { return { Fault(.invalidName, "a tensor without a name", file: $0) } }
    if length > SafetensorsHeader.nameLengthLimit {
      return { file in
        Fault(
          .invalidName, "the name of a tensor is too long", file: file, subject: quoted(name),
          expected: "at most \(SafetensorsHeader.nameLengthLimit) bytes", found: "\(length)")
      }
    }
    let bytes = name.utf8.span
    if bytes.indices.contains(where: { bytes[$0] < 0x20 || bytes[$0] == 0x7F }) {
      return { Fault(.invalidName, "a control character in the name of a tensor", file: $0, subject: quoted(name)) }
    }
    return nil
  }
}
